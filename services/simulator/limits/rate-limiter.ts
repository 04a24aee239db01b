import type { Actor } from '../api/actor.ts';
import type { Random } from '../random.ts';
import type { Limits } from '../settings.ts';
import { createSecondaryError, type LimitError, type LimitName, type LimitResource } from './limit-error.ts';
import { PrimaryCounters, type PrimaryState } from './primary-limit.ts';
import { SecondaryLimit } from './secondary-limit.ts';
import { SlidingWindow } from './sliding-window.ts';

/** What one installation, token or App did so far. */
interface Account {
  secondary: SecondaryLimit;
  calls: number;
  registrations: number;
  notModified: number;
  limited: Record<LimitName, number>;
}

/** All limits of the simulated GitHub: of each installation and token, and of each organisation or repository over all Apps. */
export class RateLimiter {
  readonly #limits: Limits;
  readonly #random: Random;
  #primary: PrimaryCounters;
  readonly #accounts = new Map<string, Account>();
  readonly #scopes = new Map<string, { window: SlidingWindow; total: number; max: number }>();

  /** @param random of its own, so that the number of refused calls doesn't change anything else */
  constructor(limits: Limits, random: Random) {
    this.#limits = limits;
    this.#random = random;
    this.#primary = new PrimaryCounters(limits, random);
  }

  /**
   * Counts the begin of a call.
   *
   * @returns what to call when it has ended
   * @throws LimitError 403 or 429 above a limit
   */
  begin(actor: Actor, cost: number): () => void {
    const key = toLimitKey(actor);
    const account = this.#find(key);
    const refusedBy = account.secondary.begin(cost);
    if (refusedBy) {
      account.limited[refusedBy]++;
      throw this.#createSecondaryError(refusedBy, account.secondary.blockedUntil - Date.now());
    }
    try {
      this.#primary.count('core', key, describe(actor));
    } catch (error) {
      account.secondary.end();
      account.limited.primary++;
      throw error;
    }
    account.calls++;
    return () => account.secondary.end();
  }

  /** Counts the registration of a runner. @param scope the organisation or repository. @throws LimitError above a limit */
  register(actor: Actor | null, scope: string): void {
    const { registrations, registrationWindowMs } = this.#limits;
    const now = Date.now();
    const counter = this.#scopes.get(scope) ?? { window: new SlidingWindow(), total: 0, max: 0 };
    this.#scopes.set(scope, counter);
    const account = actor && this.#find(toLimitKey(actor));
    if (registrations > 0 && counter.window.sum(registrationWindowMs, now) >= registrations) {
      if (account) account.limited.registrations++;
      throw this.#createSecondaryError('registrations', this.#limits.retryAfterSeconds * 1000);
    }
    if (actor && account) {
      try {
        this.#primary.count('actions_runner_registration', toLimitKey(actor), describe(actor));
      } catch (error) {
        account.limited.primary++;
        throw error;
      }
      account.registrations++;
    }
    counter.window.add(1, now);
    counter.total++;
    counter.max = Math.max(counter.max, counter.window.sum(registrationWindowMs, now));
  }

  /** Takes a call back from the hourly limit, because its answer was 304. It keeps its points of the secondary limit. */
  refund(actor: Actor): void {
    const key = toLimitKey(actor);
    this.#primary.refund('core', key);
    this.#find(key).notModified++;
  }

  /** Limits an actor as if it had made too many calls. @returns the answer to the call that was one too many */
  block(actor: Actor): LimitError {
    const account = this.#find(toLimitKey(actor));
    account.secondary.block();
    account.limited.fault++;
    return this.#createSecondaryError('fault', account.secondary.blockedUntil - Date.now());
  }

  /** The state of an hourly limit. */
  peek(actor: Actor, resource: LimitResource = 'core'): PrimaryState {
    return this.#primary.peek(resource, toLimitKey(actor));
  }

  /** Forgets all calls and blocks. */
  reset(): void {
    this.#accounts.clear();
    this.#scopes.clear();
    this.#primary = new PrimaryCounters(this.#limits, this.#random);
  }

  /** The counters of all actors and scopes, for tests. */
  view(): object {
    const actors = [...this.#accounts].map(([actor, { secondary, ...counts }]) => ({
      actor,
      ...counts,
      pointsNow: secondary.points,
      pointsMax: secondary.maxPoints,
      concurrentMax: secondary.maxOpen,
      blockedUntil: secondary.blockedUntil === 0 ? null : new Date(secondary.blockedUntil).toISOString(),
      hourly: this.#primary.peek('core', actor),
    }));
    const scopes = [...this.#scopes].map(([scope, { window, total, max }]) => ({
      scope,
      registrations: total,
      registrationsNow: window.sum(this.#limits.registrationWindowMs, Date.now()),
      registrationsMax: max,
    }));
    return { actors, scopes };
  }

  #createSecondaryError(limit: LimitName, waitMs: number): LimitError {
    return createSecondaryError(limit, waitMs, { form: this.#limits.secondaryForm, random: this.#random });
  }

  #find(key: string): Account {
    const known = this.#accounts.get(key);
    if (known) return known;
    const limited = { points: 0, concurrency: 0, primary: 0, registrations: 0, fault: 0 };
    const fresh = { secondary: new SecondaryLimit(this.#limits), calls: 0, registrations: 0, notModified: 0, limited };
    this.#accounts.set(key, fresh);
    return fresh;
  }
}

/** Points of a call of the secondary limit, by its method. */
export const toCost = (method: string): number => (['GET', 'HEAD', 'OPTIONS'].includes(method) ? 1 : 5);

/** Whose limits an actor's calls count against: an installation's, a token's, or an App's own (with its JSON web token). */
export function toLimitKey(actor: Actor): string {
  if (actor.kind === 'app') return `app ${actor.app.id}`;
  if (actor.kind === 'installation') return `installation ${actor.installationId}`;
  return `token ${actor.fingerprint}`;
}

function describe(actor: Actor): string {
  if (actor.kind === 'installation') return `installation ID ${actor.installationId}`;
  return actor.kind === 'app' ? `app ID ${actor.app.id}` : 'user ID 1';
}
