import type { Random } from '../random.ts';
import type { Limits } from '../settings.ts';
import { LimitError, type LimitResource } from './limit-error.ts';

export interface PrimaryState {
  limit: number;
  remaining: number;
  used: number;
  /** Unix time, seconds. */
  reset: number;
}

/** GitHub's primary limits: so many requests an hour, then none until the hour is over. */
export class PrimaryCounters {
  readonly #windows = new Map<string, { startedAt: number; used: number }>();
  readonly #limits: Limits;
  readonly #random: Random;

  constructor(limits: Limits, random: Random) {
    this.#limits = limits;
    this.#random = random;
  }

  /** The state of a limit; counts nothing. */
  peek(resource: LimitResource, key: string): PrimaryState {
    const window = this.#find(resource, key);
    const limit = this.#max(resource);
    return {
      limit,
      remaining: Math.max(0, limit - window.used),
      used: Math.min(window.used, limit),
      reset: Math.ceil((window.startedAt + this.#limits.primaryWindowMs) / 1000),
    };
  }

  /** Counts a request. @param who `installation ID 1`. @throws LimitError 403 or 429 above the limit */
  count(resource: LimitResource, key: string, who: string): void {
    const window = this.#find(resource, key);
    if (window.used >= this.#max(resource)) {
      const { primaryStatus } = this.#limits;
      const status = primaryStatus === 'any' ? (this.#random.chance(0.5) ? 403 : 429) : primaryStatus;
      throw new LimitError('primary', status, `API rate limit exceeded for ${who}.`, {
        resource,
        more: {
          documentation_url: 'https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting',
        },
      });
    }
    window.used++;
  }

  /** Takes a counted request back, because its answer was 304. */
  refund(resource: LimitResource, key: string): void {
    const window = this.#find(resource, key);
    window.used = Math.max(0, window.used - 1);
  }

  #max(resource: LimitResource): number {
    return resource === 'core' ? this.#limits.primary : this.#limits.registrationsPerHour;
  }

  #find(resource: LimitResource, key: string): { startedAt: number; used: number } {
    const name = `${resource} ${key}`;
    const known = this.#windows.get(name);
    if (known && Date.now() < known.startedAt + this.#limits.primaryWindowMs) return known;
    const fresh = { startedAt: Date.now(), used: 0 };
    this.#windows.set(name, fresh);
    return fresh;
  }
}
