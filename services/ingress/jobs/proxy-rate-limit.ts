import { BatonError } from '../../../contracts/errors.ts';
import { TokenBuckets } from '../token-buckets.ts';

/** Limits the requests of each proxy to this ingress: a token bucket that holds the requests of one minute. */
export class ProxyRateLimit {
  readonly #perMinute: number;
  readonly #buckets: TokenBuckets;

  constructor(perMinute: number) {
    this.#perMinute = perMinute;
    this.#buckets = new TokenBuckets({ perSecond: perMinute / 60, burst: perMinute });
  }

  /** @throws BatonError DELEGATION_TOO_MANY with `details.retryAfterS` */
  take(proxy: string): void {
    const retryAfterS = this.#buckets.take(proxy);
    if (retryAfterS === 0) return;
    const message = `accepting a request of ${proxy}: more than ${this.#perMinute} requests a minute`;
    throw new BatonError('DELEGATION_TOO_MANY', message, { details: { retryAfterS } });
  }
}
