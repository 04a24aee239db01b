import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';

const ACK_MS = 5000;

/**
 * Puts job events that Baton found out by itself where ingress puts the forge's; resolves when the stream has them.
 *
 * @throws BatonError BUS_UNAVAILABLE
 */
export function jobPublisher(bus: Bus): (event: JobEvent) => Promise<void> {
  const stream = bus.jetstream();
  return async (event) => {
    try {
      const subject = subjects.webhook(event.forge, 'workflow_job');
      await stream.publish(subject, encode(event), { msgID: event.delivery, timeout: ACK_MS });
    } catch (error) {
      throw new BatonError('BUS_UNAVAILABLE', `publishing job ${event.job.id}: ${messageOf(error)}`, { cause: error });
    }
  };
}
