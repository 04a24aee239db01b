import { headers, NatsError } from 'nats';
import { encode, type Bus } from '../../contracts/lib/nats.ts';
import { publishOnce } from '../../contracts/lib/publish-once.ts';
import { HEADERS } from '../../contracts/messages/streams.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { JobEvent } from '../../contracts/messages/job-event.ts';
import type { NatsLink } from '../shared/nats-link.ts';

/** GitHub gives up after 10 s: it should get our answer before that. */
const ACK_TIMEOUT_MS = 8000;
/**
 * One attempt. A lost acknowledgement never arrives; publishing again is safe, since the stream knows the delivery's
 * id.
 */
const ANSWER_TIMEOUT_MS = 3000;
/** Delay between attempts: JetStream does not answer while it starts. */
const RETRY_DELAY_MS = 250;
/** Maximum of deliveries that wait for NATS at once, about 3 kB each. */
const MAX_WAITING = 10_000;

/** JetStream's error codes for a full stream: maximum messages, bytes, storage or memory exceeded. */
const STREAM_FULL_CODES = new Set([10_077, 10_047, 10_028, 10_023]);

/** Publishes job events. Concurrent deliveries share the connection and do not wait for each other. */
export class WebhookPublisher {
  readonly #link: NatsLink;
  #waiting = 0;

  constructor(link: NatsLink) {
    this.#link = link;
  }

  /** How many deliveries wait for the stream's acknowledgement now. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Resolves when the stream has stored the event on disk; `duplicate` where it already had it.
   *
   * @param traceparent W3C trace context of the sender, sent along as a header
   * @throws BatonError BUS_UNAVAILABLE with `details.retryAfterS`; WEBHOOK_TOO_LARGE when the event exceeds NATS's
   *   limit
   */
  async publish(event: JobEvent, traceparent: string | undefined): Promise<{ duplicate: boolean }> {
    if (this.#waiting >= MAX_WAITING)
      throw unavailable(event, `${this.#waiting} other deliveries already wait for NATS`, 10);
    this.#waiting += 1;
    try {
      return await this.#publish(event, traceparent, Date.now() + ACK_TIMEOUT_MS);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #connected(event: JobEvent, until: number): Promise<Bus> {
    try {
      return await this.#link.connected(Math.max(1, until - Date.now()));
    } catch (error) {
      throw unavailable(event, 'NATS does not answer', 5, error);
    }
  }

  async #publish(event: JobEvent, traceparent: string | undefined, until: number): Promise<{ duplicate: boolean }> {
    const body = encode(event);
    const meta = headers();
    if (traceparent !== undefined) meta.set(HEADERS.traceparent, traceparent);
    for (;;) {
      // Never publish on a closed connection: the client would send the message long after the forge got a 503.
      const bus = await this.#connected(event, until);
      try {
        return await publishOnce(bus, subjects.webhook(event.forge, 'workflow_job'), body, {
          id: event.delivery,
          timeoutMs: Math.max(1, Math.min(ANSWER_TIMEOUT_MS, until - Date.now())),
          headers: meta,
        });
      } catch (error) {
        const cause = error instanceof BatonError ? error.cause : undefined;
        if (cause instanceof NatsError && cause.code === 'MAX_PAYLOAD_EXCEEDED') {
          throw new BatonError(
            'WEBHOOK_TOO_LARGE',
            `publishing delivery ${event.delivery}: ${body.length} bytes exceed the limit of NATS`,
            {
              cause,
            },
          );
        }
        if (cause instanceof NatsError && STREAM_FULL_CODES.has(cause.api_error?.err_code ?? 0)) {
          throw unavailable(event, 'the webhook stream is full', 60, cause);
        }
        if (Date.now() + RETRY_DELAY_MS >= until) throw unavailable(event, getErrorMessage(cause), 5, cause);
        await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
      }
    }
  }
}

function unavailable(event: JobEvent, why: string, retryAfterS: number, cause?: unknown): BatonError {
  return new BatonError('BUS_UNAVAILABLE', `publishing delivery ${event.delivery}: ${why}`, {
    cause,
    details: { delivery: event.delivery, retryAfterS },
  });
}
