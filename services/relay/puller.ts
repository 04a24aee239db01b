import { createInbox, type Msg, type Subscription } from 'nats';
import { encode, getInboxPrefix, nanos, type Bus } from '../../contracts/lib/nats.ts';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { NatsLink } from '../shared/nats-link.ts';
import { StreamMessage } from './stream-message.ts';
import type { TemporalGate } from './temporal-gate.ts';

/** How often the time for a message in progress is extended: well below the consumer's `ack_wait` (deploy/nats/set-up-bus.ts). */
const PROGRESS_INTERVAL_MS = 10_000;
/** How long one pull request stays open at the server. */
const REQUEST_TIMEOUT_MS = 30_000;
const REATTACH_DELAY_MS = 500;

export interface PullerOptions {
  link: NatsLink;
  stream: string;
  /** Name of the durable consumer, which all relays share. */
  durable: string;
  /** Maximum of messages in progress at once. */
  capacity: number;
  /** Messages are pulled only while it is open. */
  gate: Pick<TemporalGate, 'isOpen' | 'onOpen'>;
  /** Handles a message; never rejects. */
  handle: (message: StreamMessage) => Promise<void>;
  log: Logger;
}

/**
 * Pulls messages from a stream, never more than `capacity`, and can stop without dropping any: it still handles what
 * the server sent before the unsubscribe reached it. (The client library's own consumers drop such messages; the stream
 * would deliver them again only after the whole acknowledgement timeout.)
 */
export class Puller {
  readonly #options: PullerOptions;
  readonly #inProgress = new Set<StreamMessage>();
  readonly #onIdle: (() => void)[] = [];
  #bus: Bus | undefined;
  #inbox = '';
  #subscription: Subscription | undefined;
  #requested = 0;
  #lastMessageAt = 0;
  #stopped = false;
  #ready = false;
  #reattachTimer: NodeJS.Timeout | undefined;
  readonly #timers: NodeJS.Timeout[];

  constructor(options: PullerOptions) {
    this.#options = options;
    options.link.onUp((bus) => void this.#attach(bus));
    options.gate.onOpen(() => this.#resume());
    this.#timers = [
      setInterval(() => {
        for (const message of this.#inProgress) message.working();
      }, PROGRESS_INTERVAL_MS),
      setInterval(() => this.#checkLostRequest(), 5000),
    ];
  }

  /** How many messages this relay is handling. */
  get inProgress(): number {
    return this.#inProgress.size;
  }

  /** How many messages of the stream wait for a relay, and how many all relays together are handling. */
  async lag(): Promise<{ pending: number; unacknowledged: number }> {
    const { link, stream, durable } = this.#options;
    const jetstreamManager = await (await link.connected(1)).jetstreamManager();
    const info = await jetstreamManager.consumers.info(stream, durable);
    return { pending: info.num_pending, unacknowledged: info.num_ack_pending };
  }

  /** Requests more messages where there is room. */
  #resume(): void {
    const { capacity, stream, durable, gate } = this.#options;
    if (this.#stopped || !this.#ready || this.#bus === undefined) return;
    if (this.#reattachTimer !== undefined || !gate.isOpen) return;
    const room = capacity - this.#inProgress.size - this.#requested;
    // Not one request for each message that completes, unless no request is open.
    if (room <= 0 || (this.#requested > 0 && room < capacity / 4)) return;
    if (this.#requested === 0) this.#lastMessageAt = Date.now();
    this.#requested += room;
    this.#bus.publish(
      `$JS.API.CONSUMER.MSG.NEXT.${stream}.${durable}`,
      encode({ batch: room, expires: nanos(REQUEST_TIMEOUT_MS) }),
      { reply: this.#inbox },
    );
  }

  /**
   * Stops pulling. Resolves when all messages in progress are handled, or after `timeoutMs`: then it returns the
   * remaining ones to the stream.
   *
   * @returns how many messages went back to the stream
   */
  async stop(timeoutMs: number): Promise<number> {
    this.#stopped = true;
    clearTimeout(this.#reattachTimer);
    const deadline = Date.now() + timeoutMs;
    // Unsubscribes, and still handles what arrived before the server knew of it.
    if (this.#options.link.isUp) await waitAtMost(this.#subscription?.drain(), timeoutMs);
    if (this.#inProgress.size > 0) {
      await waitAtMost(new Promise<void>((resolve) => this.#onIdle.push(resolve)), deadline - Date.now());
    }
    for (const timer of this.#timers) clearInterval(timer);
    const left = this.#inProgress.size;
    for (const message of this.#inProgress) message.retry(0);
    this.#inProgress.clear();
    return left;
  }

  async #attach(bus: Bus): Promise<void> {
    this.#ready = false;
    this.#requested = 0;
    if (this.#stopped) return;
    if (this.#bus !== bus || this.#subscription === undefined) {
      this.#bus = bus;
      this.#inbox = createInbox(getInboxPrefix(bus));
      this.#subscription = bus.subscribe(this.#inbox, {
        callback: (error, message) => {
          if (error) this.#reattachLater(`subscription to the inbox: ${getErrorMessage(error)}`);
          else this.#receive(message);
        },
      });
    }
    try {
      const { stream, durable } = this.#options;
      // Whoever may create a consumer may have the server publish the stream's messages on any subject: relays may not.
      await (await bus.jetstreamManager()).consumers.info(stream, durable);
      this.#ready = true;
      this.#resume();
    } catch (error) {
      this.#reattachLater(getErrorMessage(error));
    }
  }

  #receive(message: Msg): void {
    this.#lastMessageAt = Date.now();
    const pulled = StreamMessage.from(message);
    if (pulled === undefined) {
      this.#onRequestStatus(message);
      return;
    }
    this.#requested = Math.max(0, this.#requested - 1);
    this.#inProgress.add(pulled);
    void this.#handle(pulled);
  }

  async #handle(message: StreamMessage): Promise<void> {
    await this.#options.handle(message);
    this.#inProgress.delete(message);
    if (this.#inProgress.size === 0) for (const done of this.#onIdle.splice(0)) done();
    this.#resume();
  }

  /** The server's status for a pull request: how many of its messages the server will not send. */
  #onRequestStatus(message: Msg): void {
    const left = Number(message.headers?.get('Nats-Pending-Messages') || Number.NaN);
    this.#requested = Number.isNaN(left) ? 0 : Math.max(0, this.#requested - left);
    const code = message.headers?.code ?? 0;
    // 408: no message arrived while the request was open, which is normal.
    if (code === 408) this.#resume();
    else this.#reattachLater(`${code} ${message.headers?.description ?? ''}`);
  }

  /** After an unexpected answer: checks the consumer, then requests messages again. */
  #reattachLater(reason: string): void {
    if (this.#stopped || this.#reattachTimer !== undefined) return;
    this.#options.log.debug({ stream: this.#options.stream, reason }, 'pull failed; will retry');
    this.#reattachTimer = setTimeout(() => {
      this.#reattachTimer = undefined;
      if (this.#bus && this.#options.link.isUp) void this.#attach(this.#bus);
    }, REATTACH_DELAY_MS);
  }

  /** The server ends every request with a status; without one, the request was lost. */
  #checkLostRequest(): void {
    if (this.#requested === 0 || Date.now() - this.#lastMessageAt < REQUEST_TIMEOUT_MS + 5000) return;
    this.#requested = 0;
    this.#resume();
  }
}

/** Resolves with `work`, or after `ms`. */
async function waitAtMost(work: Promise<void> | undefined, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, ms));
  await Promise.race([work, late]);
  clearTimeout(timer);
}
