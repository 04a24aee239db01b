import type { JetStreamClient } from 'nats';
import { encode, type Bus } from '../../contracts/bus/connection.ts';
import { subjects } from '../../contracts/bus/subjects.ts';
import { messageOf } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/log.ts';
import type { RunnerSignal } from '../../contracts/messages/runner-signal.ts';
import { backoff } from './backoff.ts';
import { NATS_CODE, natsCode } from './nats-code.ts';

/** How many signals wait at most. A runner sends four in its life; more than this is a job playing with the socket. */
const CAPACITY = 64;

/** How long JetStream may take to acknowledge, milliseconds. */
const ACK_TIMEOUT_MS = 2000;

/** - `delivered`: JetStream has it · `refused`: it can't ever be delivered, or too many wait · `expired`: time is over */
export type Delivery = 'delivered' | 'refused' | 'expired';

/**
 * Signals on their way to JetStream, in the order they came: each is tried until it is acknowledged or `abort` fires. The
 * message id is the signal's id, so that a repeated attempt is one message.
 */
export class Outbox {
  private readonly bus: Bus;
  private readonly stream: JetStreamClient;
  private readonly abort: AbortSignal;
  private readonly log: Logger;
  private waiting = 0;
  private last: Promise<unknown> = Promise.resolve();

  constructor(bus: Bus, options: { abort: AbortSignal; log: Logger }) {
    this.bus = bus;
    this.stream = bus.jetstream();
    this.abort = options.abort;
    this.log = options.log;
  }

  /** Never rejects; resolves when the signal's fate is known. */
  send(signal: RunnerSignal): Promise<Delivery> {
    if (this.waiting >= CAPACITY) {
      this.log.warn({ runner: signal.runner, kind: signal.kind }, 'signal refused: too many are waiting');
      return Promise.resolve('refused');
    }
    this.waiting++;
    const delivery = this.last.then(() => this.deliver(signal));
    this.last = delivery;
    return delivery.finally(() => {
      this.waiting--;
    });
  }

  private async deliver(signal: RunnerSignal): Promise<Delivery> {
    for (let attempt = 0; ; attempt++) {
      if (this.abort.aborted) return 'expired';
      try {
        await this.stream.publish(subjects.signal(signal.runner, signal.kind), encode(signal), {
          msgID: signal.id,
          timeout: ACK_TIMEOUT_MS,
        });
        this.log.info({ runner: signal.runner, kind: signal.kind, attempt }, 'signal delivered');
        return 'delivered';
      } catch (error) {
        const code = natsCode(error);
        this.log.warn({ runner: signal.runner, kind: signal.kind, attempt, code }, `signal: ${messageOf(error)}`);
        if (code === NATS_CODE.denied) return 'refused';
        // A server that takes bytes and answers nothing may be a half-open connection, which TCP doesn't tell for minutes.
        if (code === NATS_CODE.timeout && attempt % 2 === 1) await this.bus.reconnect().catch(() => undefined);
        await backoff(attempt, { firstMs: 100, maxMs: 5000, abort: this.abort }).catch(() => undefined);
      }
    }
  }
}
