import { encode, type Bus } from '../../contracts/lib/nats.ts';
import { publishOnce } from '../../contracts/lib/publish-once.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { messageOf } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { fired } from '../action-runners/manager/timer.ts';
import { backoff } from '../../contracts/lib/backoff.ts';
import { NATS_CODE, natsCode } from './nats-code.ts';

/** How many signals wait at most. A runner sends four in its life; more than this is a job playing with the socket. */
const CAPACITY = 64;

/** How long JetStream may take to acknowledge, milliseconds: at the first attempt, and at most; doubled each time. */
const ACK_TIMEOUT_MS = 2000;
const MAX_ACK_TIMEOUT_MS = 30_000;

/** - `delivered`: JetStream has it · `refused`: it can't ever be delivered, or too many wait · `expired`: time is over */
export type SignalDelivery = 'delivered' | 'refused' | 'expired';

/**
 * Signals on their way to JetStream, in the order they came: each is tried until it is acknowledged or its time is over. The
 * message id is the signal's id, so that a repeated attempt is one message.
 */
export class Outbox {
  readonly #bus: Promise<Bus>;
  readonly #log: Logger;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param bus the connection, or one that is still to come */
  constructor(bus: Promise<Bus>, log: Logger) {
    this.#bus = bus;
    this.#log = log;
    // Told to whoever opens it, and by each signal's fate.
    bus.catch(() => undefined);
  }

  /**
   * Never rejects; resolves when the signal's fate is known.
   *
   * @param abort ends the attempts
   */
  send(signal: RunnerSignal, abort?: AbortSignal): Promise<SignalDelivery> {
    if (this.#waiting >= CAPACITY) {
      this.#log.warn({ kind: signal.kind }, 'signal refused: too many are waiting');
      return Promise.resolve('refused');
    }
    this.#waiting++;
    const delivery = this.#last.then(() => this.#deliver(signal, abort ?? new AbortController().signal));
    this.#last = delivery;
    return delivery.finally(() => {
      this.#waiting--;
    });
  }

  async #deliver(signal: RunnerSignal, abort: AbortSignal): Promise<SignalDelivery> {
    const { runner, kind } = signal;
    const bus = await Promise.race([this.#bus.catch(() => 'refused' as const), fired(abort)]);
    if (bus === undefined) return 'expired';
    if (bus === 'refused') return 'refused';
    for (let attempt = 0; ; attempt++) {
      if (abort.aborted) return 'expired';
      try {
        await publishOnce(bus, subjects.signal(runner, kind), encode(signal), {
          id: signal.id,
          timeoutMs: Math.min(MAX_ACK_TIMEOUT_MS, ACK_TIMEOUT_MS * 2 ** Math.min(attempt, 8)),
        });
        this.#log.info({ kind, attempt }, 'signal delivered');
        return 'delivered';
      } catch (error) {
        const code = natsCode(error);
        this.#log.warn({ kind, attempt, code }, `signal: ${messageOf(error)}`);
        if (code === NATS_CODE.denied) return 'refused';
        // A server that takes bytes and answers nothing may be a half-open connection, which TCP doesn't tell for minutes.
        if (code === NATS_CODE.timeout && attempt % 2 === 1) await bus.reconnect().catch(() => undefined);
        await backoff(attempt, { firstMs: 100, maxMs: 5000, abort }).catch(() => undefined);
      }
    }
  }
}
