import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';

const ACK_TIMEOUT_MS = 5000;

/**
 * Publishes a job event that Baton found out by itself where ingress publishes those of webhooks. Resolves when the stream has it.
 *
 * @throws BatonError BUS_UNAVAILABLE
 */
export async function publishJobEvent(bus: Bus, event: JobEvent): Promise<void> {
  await publishOnce(bus, subjects.webhook(event.forge, 'workflow_job'), encode(event), {
    id: event.delivery,
    timeoutMs: ACK_TIMEOUT_MS,
  });
}
