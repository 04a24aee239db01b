import type { Simulation } from '../simulation.ts';
import type { Actor } from './auth.ts';
import { ApiError } from './errors.ts';

interface Window {
  startedAt: number;
  used: number;
}

/** Limits requests as GitHub does: a primary limit per hour, and a secondary one in points per minute. */
export class RateLimiter {
  readonly #primary = new Map<string, Window>();
  readonly #secondary = new Map<string, Window>();
  readonly #sim: Simulation;

  constructor(sim: Simulation) {
    this.#sim = sim;
  }

  /** The state of the primary limit; counts nothing. */
  peek(actor: Actor): { limit: number; remaining: number; used: number; reset: number } {
    const { primary: limit, primaryWindowMs } = this.#sim.limits;
    const window = findWindow(this.#primary, toKey(actor), primaryWindowMs);
    const reset = Math.ceil((window.startedAt + primaryWindowMs) / 1000);
    return { limit, remaining: Math.max(0, limit - window.used), used: Math.min(window.used, limit), reset };
  }

  /** Counts a request. @throws ApiError 403 or 429 above the limit */
  count(actor: Actor, method: string): void {
    const { limits } = this.#sim;
    const key = toKey(actor);
    const points = method === 'GET' || method === 'HEAD' ? 1 : 5;
    const secondary = findWindow(this.#secondary, key, limits.secondaryWindowMs);
    if (limits.secondaryPoints > 0 && secondary.used + points > limits.secondaryPoints) {
      throw new ApiError(
        limits.status,
        'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
        { headers: { 'retry-after': String(limits.retryAfterSeconds) } },
      );
    }
    const primary = findWindow(this.#primary, key, limits.primaryWindowMs);
    if (primary.used >= limits.primary) {
      const who = actor.kind === 'installation' ? `installation ID ${actor.account.installationId}` : 'user ID 1';
      throw new ApiError(limits.status, `API rate limit exceeded for ${who}.`);
    }
    secondary.used += points;
    primary.used++;
  }
}

function toKey(actor: Actor): string {
  if (actor.kind === 'app') return `app ${actor.appId}`;
  return actor.kind === 'installation' ? `installation ${actor.account.id}` : `token ${actor.token}`;
}

function findWindow(windows: Map<string, Window>, key: string, lengthMs: number): Window {
  const known = windows.get(key);
  if (known && Date.now() < known.startedAt + lengthMs) return known;
  const fresh = { startedAt: Date.now(), used: 0 };
  windows.set(key, fresh);
  return fresh;
}
