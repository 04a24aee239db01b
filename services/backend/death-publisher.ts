import { createHash } from 'node:crypto';
import { backoff } from '../../contracts/lib/backoff.ts';
import { encode } from '../../contracts/lib/nats.ts';
import { publishOnce } from '../../contracts/lib/publish-once.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Instance } from '../../contracts/ports/backend.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { InstanceDied } from '../../contracts/messages/runner-signal.ts';
import type { NatsLink } from '../shared/nats-link.ts';

const ACK_TIMEOUT_MS = 5000;
const FIRST_RETRY_DELAY_MS = 250;
const MAX_RETRY_DELAY_MS = 15_000;

export interface DeathPublisherOptions {
  link: NatsLink;
  backend: string;
  log: Logger;
  stop: AbortSignal;
}

/**
 * Publishes that instances died; retries each until JetStream has it. What is not published when the process ends is published by
 * the next process, whose watcher begins by listing the backend's instances.
 */
export class DeathPublisher {
  readonly #options: DeathPublisherOptions;
  readonly #unpublished = new Map<string, Promise<void>>();

  constructor(options: DeathPublisherOptions) {
    this.#options = options;
  }

  /** Publishes in the background. Returns at once. */
  publish(dead: Instance): void {
    const message = toDiedMessage(this.#options.backend, dead);
    if (this.#unpublished.has(message.id)) return;
    const published = this.#publish(message, dead.group).finally(() => this.#unpublished.delete(message.id));
    this.#unpublished.set(message.id, published);
  }

  /** Resolves when every death is published, or was given up because `stop` fired. */
  async finish(): Promise<void> {
    await Promise.all(this.#unpublished.values());
  }

  async #publish(message: InstanceDied, group: string): Promise<void> {
    const { link, backend, log, stop } = this.#options;
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
        log.warn({ ...facts, attempt, reason: getErrorMessage(error) }, 'instance death not published; will retry');
      }
      const delays = { firstMs: FIRST_RETRY_DELAY_MS, maxMs: MAX_RETRY_DELAY_MS };
      await backoff(attempt, { ...delays, abort: stop }).catch(() => undefined);
      if (stop.aborted) return;
    }
  }
}

/** The message's id is made of the instance: whichever process publishes it, and however often, the stream stores it once. */
function toDiedMessage(backend: string, dead: Instance): InstanceDied {
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
