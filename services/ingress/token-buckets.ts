import { LRUCache } from 'lru-cache';

export interface BucketSize {
  perSecond: number;
  /** How many can be taken at once after a pause. */
  burst: number;
}

/** Remembered callers. A forgotten one begins with a full bucket: there are too many then for a limit of each to help. */
const MAX_CALLERS = 50_000;

/** A token bucket for each caller. */
export class TokenBuckets {
  readonly #size: BucketSize;
  readonly #now: () => number;
  readonly #buckets = new LRUCache<string, { left: number; at: number }>({ max: MAX_CALLERS });

  /** @param now milliseconds */
  constructor(size: BucketSize, now: () => number = Date.now) {
    this.#size = size;
    this.#now = now;
  }

  /** Takes a token. @returns 0, or after how many seconds the next one can be taken */
  take(caller: string): number {
    const { perSecond, burst } = this.#size;
    const now = this.#now();
    const known = this.#buckets.get(caller) ?? { left: burst, at: now };
    const left = Math.min(burst, known.left + (Math.max(0, now - known.at) * perSecond) / 1000);
    if (left < 1) return Math.max(1, Math.ceil((1 - left) / perSecond));
    this.#buckets.set(caller, { left: left - 1, at: now });
    return 0;
  }
}
