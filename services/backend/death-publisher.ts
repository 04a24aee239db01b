import { createHash } from 'node:crypto';
import { backoff } from '../../contracts/lib/backoff.ts';
import { encode } from '../../contracts/lib/nats.ts';
import { publishOnce } from '../../contracts/lib/publish-once.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { messageOf } from '../../contracts/errors.ts';
import type { Instance } from '../../contracts/ports/backend.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { InstanceDied } from '../../contracts/messages/runner-signal.ts';
import type { NatsLink } from '../shared/nats-link.ts';

const ACK_TIMEOUT_MS = 5000;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 15_000;

/** What a death is told as: its id is the same whoever tells it and however often, so that one death is one message. */
export function toDiedMessage(backend: string, dead: Instance): InstanceDied {
  const id = createHash('sha256').update(`${backend}\0${dead.runner}\0${dead.id}`).digest('hex').slice(0, 40);
  return {
    version: 1,
    kind: 'died',
    id: `died-${id}`,
    runner: dead.runner,
    at: new Date().toISOString(),
    exitCode: dead.exitCode ?? null,
    reason: (dead.reason ?? 'it died').slice(0, 500),
  };
}

/**
 * Publishes deaths, each until JetStream has it. What is not yet told when the process ends is told again by the next one's
 * first look at the backend.
 */
export class DeathPublisher {
  private readonly options: { link: NatsLink; backend: string; log: Logger; stop: AbortSignal };
  private readonly underWay = new Map<string, Promise<void>>();

  constructor(options: { link: NatsLink; backend: string; log: Logger; stop: AbortSignal }) {
    this.options = options;
  }

  /** Returns at once. */
  tell(dead: Instance): void {
    const message = toDiedMessage(this.options.backend, dead);
    if (this.underWay.has(message.id)) return;
    const telling = this.publish(message, dead.group).finally(() => this.underWay.delete(message.id));
    this.underWay.set(message.id, telling);
  }

  /** Resolves when all have been told, or were given up because of `stop`. */
  async settled(): Promise<void> {
    await Promise.all(this.underWay.values());
  }

  private async publish(message: InstanceDied, group: string): Promise<void> {
    const { link, backend, log, stop } = this.options;
    const facts = { runner: message.runner, group, backend };
    for (let attempt = 0; ; attempt++) {
      try {
        const bus = await link.connected(ACK_TIMEOUT_MS);
        await publishOnce(bus, subjects.instanceDied(message.runner), encode(message), {
          id: message.id,
          timeoutMs: ACK_TIMEOUT_MS,
        });
        log.info({ ...facts, exitCode: message.exitCode, reason: message.reason }, 'instance died');
        return;
      } catch (error) {
        log.warn({ ...facts, attempt, reason: messageOf(error) }, 'telling that an instance died; trying again');
      }
      await backoff(attempt, { firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS, abort: stop }).catch(() => undefined);
      if (stop.aborted) return;
    }
  }
}
