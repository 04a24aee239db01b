import { BatonError } from '../../../contracts/errors.ts';

/** Limits the requests of each proxy to this ingress: a token bucket that holds the requests of one minute. */
export class ProxyRateLimit {
  readonly #perMinute: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, { left: number; at: number }>();

  /** @param now milliseconds */
  constructor(perMinute: number, now: () => number = Date.now) {
    this.#perMinute = perMinute;
    this.#now = now;
  }

  /** @throws BatonError DELEGATION_TOO_MANY with `details.retryAfterS` */
  take(proxy: string): void {
    const now = this.#now();
    const known = this.#buckets.get(proxy) ?? { left: this.#perMinute, at: now };
    const left = Math.min(this.#perMinute, known.left + ((now - known.at) * this.#perMinute) / 60_000);
    if (left < 1) {
      const retryAfterS = Math.max(1, Math.ceil(((1 - left) * 60) / this.#perMinute));
      const message = `accepting a request of ${proxy}: more than ${this.#perMinute} requests a minute`;
      throw new BatonError('DELEGATION_TOO_MANY', message, { details: { retryAfterS } });
    }
    this.#buckets.set(proxy, { left: left - 1, at: now });
  }
}
