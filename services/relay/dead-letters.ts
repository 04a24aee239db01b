import type { Counter } from 'prom-client';
import { publishOnce } from '../../contracts/lib/publish-once.ts';
import { HEADERS } from '../../contracts/messages/streams.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { NatsLink } from '../shared/nats-link.ts';
import { createDeadLetterHeaders, toHeaderValue } from '../shared/dead-letter-headers.ts';
import type { StreamMessage } from './stream-message.ts';

const PUBLISH_TIMEOUT_MS = 10_000;

/** Stores messages that can never be handled, unchanged and with the reason, for the operator to inspect. */
export class DeadLetters {
  readonly #link: NatsLink;
  readonly #log: Logger;
  readonly #counter: Counter<'stream' | 'code'>;

  constructor(link: NatsLink, log: Logger, counter: Counter<'stream' | 'code'>) {
    this.#link = link;
    this.#log = log;
    this.#counter = counter;
  }

  /**
   * Resolves when the dead-letter stream has stored the message; only then may the caller acknowledge the original. The
   * same message twice becomes one dead letter.
   *
   * @param reason one sentence for the operator
   */
  async put(message: StreamMessage, code: ErrorCode, reason: string): Promise<void> {
    const bus = await this.#link.connected(PUBLISH_TIMEOUT_MS);
    const meta = createDeadLetterHeaders(code, reason, message.subject);
    meta.set(HEADERS.deliveries, String(message.deliveries));
    const trace = message.header(HEADERS.traceparent);
    if (trace !== undefined) meta.set(HEADERS.traceparent, toHeaderValue(trace));
    const { duplicate } = await publishOnce(bus, subjects.dead(message.stream), message.data, {
      id: message.streamPosition,
      timeoutMs: PUBLISH_TIMEOUT_MS,
      headers: meta,
    });
    if (duplicate) return;
    this.#counter.inc({ stream: message.stream, code });
    const { subject, streamPosition } = message;
    this.#log.warn({ code, subject, streamPosition, reason }, 'stored a message as a dead letter');
  }
}
