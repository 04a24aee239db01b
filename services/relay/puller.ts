import { AckPolicy, createInbox, DeliverPolicy, type Msg, type Subscription } from 'nats';
import { z } from 'zod';
import { encode, nanos, type Bus } from '../../contracts/lib/nats.ts';
import { messageOf } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { NatsLink } from '../shared/nats-link.ts';
import { StreamMessage } from './stream-message.ts';

/** A message that nobody acknowledges comes again after this; whoever works on it says so more often. */
const ACK_TIMEOUT_MS = 30_000;
const PROGRESS_INTERVAL_MS = 10_000;
/** A request for messages stands this long; nothing polls meanwhile. */
const REQUEST_TIMEOUT_MS = 30_000;
const REATTACH_DELAY_MS = 500;
/** All relays together. */
const MAX_UNACKNOWLEDGED = 20_000;

export interface PullerOptions {
  link: NatsLink;
  stream: string;
  /** Name of the durable consumer, which all relays share. */
  durable: string;
  /** Messages in hand at once. */
  capacity: number;
  /** Whether more may be taken just now; {@link Puller.resume} when that changes. */
  mayTake: () => boolean;
  /** Handles a message; rejects never. */
  handle: (message: StreamMessage) => Promise<void>;
  log: Logger;
}

/**
 * Takes messages from a stream as they come, never more than there is room for, and can stop without losing sight of any:
 * what the server sent before it heard of the stop is still handled. (The client library's own consumers drop that; it
 * would come again only after the whole acknowledgement wait.)
 */
export class Puller {
  readonly #options: PullerOptions;
  readonly #inProgress = new Set<StreamMessage>();
  readonly #idle: (() => void)[] = [];
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
    this.#timers = [
      setInterval(() => {
        for (const message of this.#inProgress) message.working();
      }, PROGRESS_INTERVAL_MS),
      setInterval(() => this.#checkLostRequest(), 5000),
    ];
  }

  /** How many messages are being handled. */
  get inProgress(): number {
    return this.#inProgress.size;
  }

  /** Messages of the stream that wait for anyone, and those being handled by all relays. */
  async lag(): Promise<{ pending: number; unacknowledged: number }> {
    const { link, stream, durable } = this.#options;
    const jetstreamManager = await (await link.connected(1)).jetstreamManager();
    const info = await jetstreamManager.consumers.info(stream, durable);
    return { pending: info.num_pending, unacknowledged: info.num_ack_pending };
  }

  /** Takes more where there is room. */
  resume(): void {
    const { capacity, stream, durable, mayTake } = this.#options;
    if (this.#stopped || !this.#ready || this.#bus === undefined || this.#reattachTimer !== undefined || !mayTake())
      return;
    const room = capacity - this.#inProgress.size - this.#requested;
    // Not for each single place that comes free, unless nothing is on its way.
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
   * Takes no more; resolves when all in hand are handled, or after `timeoutMs`: what is left then is given back at once.
   *
   * @returns how many were given back
   */
  async stop(timeoutMs: number): Promise<number> {
    this.#stopped = true;
    clearTimeout(this.#reattachTimer);
    const deadline = Date.now() + timeoutMs;
    // Unsubscribes, and still hands over what arrived before the server knew of it.
    if (this.#options.link.isUp) await within(this.#subscription?.drain(), timeoutMs);
    if (this.#inProgress.size > 0) {
      await within(new Promise<void>((resolve) => this.#idle.push(resolve)), deadline - Date.now());
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
      this.#inbox = createInbox(inboxPrefix(bus));
      this.#subscription = bus.subscribe(this.#inbox, {
        callback: (error, message) => {
          if (error) this.#reattachLater(`its inbox: ${messageOf(error)}`);
          else this.#take(message);
        },
      });
    }
    try {
      await this.#ensureConsumer(bus);
      this.#ready = true;
      this.resume();
    } catch (error) {
      this.#reattachLater(messageOf(error));
    }
  }

  async #ensureConsumer(bus: Bus): Promise<void> {
    const { stream, durable } = this.#options;
    const jetstreamManager = await bus.jetstreamManager();
    await jetstreamManager.consumers.add(stream, {
      durable_name: durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(ACK_TIMEOUT_MS),
      max_ack_pending: MAX_UNACKNOWLEDGED,
      // Without end: a message that reached the server's limit would stay in the stream, unseen. The relay itself gives up,
      // with a dead letter, and only on an answer that says it is hopeless (handlers.ts).
      max_deliver: -1,
    });
  }

  #take(message: Msg): void {
    this.#lastMessageAt = Date.now();
    const taken = StreamMessage.from(message);
    if (taken === undefined) {
      this.#onRequestStatus(message);
      return;
    }
    this.#requested = Math.max(0, this.#requested - 1);
    this.#inProgress.add(taken);
    void this.#handle(taken);
  }

  async #handle(message: StreamMessage): Promise<void> {
    await this.#options.handle(message);
    this.#inProgress.delete(message);
    if (this.#inProgress.size === 0) for (const done of this.#idle.splice(0)) done();
    this.resume();
  }

  /** A word from the server on a request: how much of it will not be served. */
  #onRequestStatus(message: Msg): void {
    const left = Number(message.headers?.get('Nats-Pending-Messages') || Number.NaN);
    this.#requested = Number.isNaN(left) ? 0 : Math.max(0, this.#requested - left);
    const code = message.headers?.code ?? 0;
    // 408 is the end of a request that nothing came for, as it should be.
    if (code === 408) this.resume();
    else this.#reattachLater(`${code} ${message.headers?.description ?? ''}`);
  }

  /** Something is not as it should be: look after the consumer, and ask again. */
  #reattachLater(reason: string): void {
    if (this.#stopped || this.#reattachTimer !== undefined) return;
    this.#options.log.debug({ stream: this.#options.stream, reason }, 'pulling again soon');
    this.#reattachTimer = setTimeout(() => {
      this.#reattachTimer = undefined;
      if (this.#bus && this.#options.link.isUp) void this.#attach(this.#bus);
    }, REATTACH_DELAY_MS);
  }

  /** A request always ends with a word; where none came, it was lost. */
  #checkLostRequest(): void {
    if (this.#requested === 0 || Date.now() - this.#lastMessageAt < REQUEST_TIMEOUT_MS + 5000) return;
    this.#requested = 0;
    this.resume();
  }
}

const withPrefix = z.object({ options: z.object({ inboxPrefix: z.string().optional() }) });

/** A credential may allow only one prefix of inboxes; the connection knows it. */
function inboxPrefix(bus: Bus): string | undefined {
  return withPrefix.safeParse(bus).data?.options.inboxPrefix;
}

/** Resolves with `work`, or after `ms`. */
async function within(work: Promise<void> | undefined, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, ms));
  await Promise.race([work, late]);
  clearTimeout(timer);
}
