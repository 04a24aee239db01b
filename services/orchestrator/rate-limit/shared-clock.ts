import { randomUUID } from 'node:crypto';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';

const MEASURE_INTERVAL_MS = 10_000;
/** A slower answer says too little about the time, except where nothing better is known. */
const MAX_ROUND_TRIP_MS = 1000;
/** When the clock turns out to be ahead by no more than this, it stands still until it is right again; otherwise it is set back. */
const MAX_STANDSTILL_MS = 10_000;
/** A difference that is worth a line in the log. */
const LOG_DIFFERENCE_MS = 2000;

/** The clocks of this machine, milliseconds. */
export interface LocalClocks {
  /** Since the epoch. It may be wrong, and may be set. */
  wall: () => number;
  /** Since some moment. It always runs on. */
  monotonic: () => number;
}

const LOCAL: LocalClocks = { wall: () => Date.now(), monotonic: () => performance.now() };

/** What a clock needs of a NATS bucket: the server stamps each value with its own time. */
export interface ClockBucket {
  put(key: string, value: string): Promise<number>;
  get(key: string, options: { revision: number }): Promise<{ created: Date } | null>;
}

export interface SharedClockOptions {
  bucket: ClockBucket;
  log: Logger;
  local?: LocalClocks | undefined;
}

/**
 * The time by which processes stamp what they share: that of their NATS server, whatever the clocks of their machines show. It goes
 * on from the last measurement by the machine's monotonic clock, also without NATS.
 */
export class SharedClock {
  readonly #options: SharedClockOptions;
  readonly #local: LocalClocks;
  readonly #key = `clock/${randomUUID().slice(0, 8)}`;
  /** The shared time minus the monotonic one. */
  #base: number;
  #latest = 0;
  #isMeasured = false;
  #isLogged = false;

  private constructor(options: SharedClockOptions) {
    this.#options = options;
    this.#local = options.local ?? LOCAL;
    this.#base = this.#local.wall() - this.#local.monotonic();
  }

  /** Measures once, and then again and again as long as the process runs. Without an answer it begins with the machine's time. */
  static async start(options: SharedClockOptions): Promise<SharedClock> {
    const clock = new SharedClock(options);
    await clock.measure();
    setInterval(() => void clock.measure(), MEASURE_INTERVAL_MS).unref();
    return clock;
  }

  /** Milliseconds since the epoch. It never goes back by less than ten seconds: then it stands still for that long. */
  readonly now = (): number => {
    const time = this.#local.monotonic() + this.#base;
    if (time >= this.#latest || this.#latest - time > MAX_STANDSTILL_MS) this.#latest = time;
    return Math.floor(this.#latest);
  };

  /** Asks the server for its time. Never rejects: without an answer the clock goes on. */
  async measure(): Promise<void> {
    const { bucket, log } = this.#options;
    try {
      const askedAt = this.#local.monotonic();
      const revision = await bucket.put(this.#key, '');
      const answeredAt = this.#local.monotonic();
      if (this.#isMeasured && answeredAt - askedAt > MAX_ROUND_TRIP_MS) return;
      const entry = await bucket.get(this.#key, { revision });
      if (entry === null) return;
      this.#base = entry.created.getTime() - (askedAt + answeredAt) / 2;
      this.#isMeasured = true;
      this.#logDifference();
    } catch (error) {
      log.debug({ reason: getErrorMessage(error) }, 'the NATS server did not answer with its time');
    }
  }

  /** Once, until the clock is right again. */
  #logDifference(): void {
    const differenceMs = Math.round(this.#local.wall() - this.now());
    const isWrong = Math.abs(differenceMs) > LOG_DIFFERENCE_MS;
    if (isWrong && !this.#isLogged) {
      const text = 'this machine’s clock differs from the NATS server’s; limits are counted by the server’s';
      this.#options.log.warn({ differenceMs }, text);
    }
    this.#isLogged = isWrong;
  }
}
