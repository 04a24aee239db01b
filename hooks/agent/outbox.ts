import { encode, type Bus } from '../../contracts/lib/nats.ts';
import { publishOnce } from '../../contracts/lib/publish-once.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { waitForAbort } from '../action-runners/manager/timer.ts';
import { backoff } from '../../contracts/lib/backoff.ts';
import { NATS_CODE, getNatsCode } from './nats-code.ts';

/** A runner sends about four signals in its life. With more than this, a job is abusing the socket. */
const MAX_WAITING_SIGNALS = 64;

/** How long JetStream may take to acknowledge at the first attempt; doubled with each attempt. */
const FIRST_ACK_TIMEOUT_MS = 2000;
const MAX_ACK_TIMEOUT_MS = 30_000;

/**
 * `delivered`: JetStream has it · `refused`: it can never be delivered, or too many are waiting · `expired`: aborted
 * before
 */
export type SignalDelivery = 'delivered' | 'refused' | 'expired';

/**
 * Publishes signals to JetStream in order. Each is published again until it is acknowledged or aborted; its message id
 * is the signal's id, so that several attempts are one message.
 */
export class Outbox {
  readonly #bus: Promise<Bus>;
  readonly #log: Logger;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param bus the connection, which may still be opening */
  constructor(bus: Promise<Bus>, log: Logger) {
    this.#bus = bus;
    this.#log = log;
    // The caller that opens the connection handles its error, and each signal is refused.
    bus.catch(() => undefined);
  }

  /**
   * Never rejects; resolves when the signal has been delivered, refused or has expired.
   *
   * @param abort ends the attempts
   */
  send(signal: RunnerSignal, abort?: AbortSignal): Promise<SignalDelivery> {
    if (this.#waiting >= MAX_WAITING_SIGNALS) {
      this.#log.warn({ kind: signal.kind }, 'refused a signal: too many are waiting');
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
    const bus = await Promise.race([this.#bus.catch(() => 'refused' as const), waitForAbort(abort)]);
    if (bus === undefined) return 'expired';
    if (bus === 'refused') return 'refused';
    for (let attempt = 0; ; attempt++) {
      if (abort.aborted) return 'expired';
      try {
        await publishOnce(bus, subjects.signal(runner, kind), encode(signal), {
          id: signal.id,
          timeoutMs: Math.min(MAX_ACK_TIMEOUT_MS, FIRST_ACK_TIMEOUT_MS * 2 ** Math.min(attempt, 8)),
        });
        this.#log.info({ kind, attempt }, 'delivered a signal');
        return 'delivered';
      } catch (error) {
        const code = getNatsCode(error);
        this.#log.warn({ kind, attempt, code }, `publishing a signal failed: ${getErrorMessage(error)}`);
        if (code === NATS_CODE.denied) return 'refused';
        // Without an answer the connection may be half-open, which TCP does not notice for minutes.
        if (code === NATS_CODE.timeout && attempt % 2 === 1) await bus.reconnect().catch(() => undefined);
        await backoff(attempt, { firstMs: 100, maxMs: 5000, abort }).catch(() => undefined);
      }
    }
  }
}
