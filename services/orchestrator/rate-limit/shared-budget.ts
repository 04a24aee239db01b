import { setTimeout as sleep } from 'node:timers/promises';
import type { KV } from 'nats';
import { z } from 'zod';
import {
  fullBudget,
  observeLimits,
  toPlan,
  spend,
  computeWait,
  type BudgetState,
  type ObservedLimits,
  type Plan,
  type Urgency,
} from '../../../activities/forges/github/budget.ts';
import type { SharedBudget } from '../../../activities/forges/github/metered-fetch.ts';
import { decode, encode } from '../../../contracts/lib/nats.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { RegistrationOutlook } from '../../../contracts/ports/forge.ts';

const stored = z.object({
  points: z.number(),
  at: z.number(),
  blockedUntil: z.number(),
  primary: z.object({ limit: z.number(), remaining: z.number(), resetAt: z.number() }).optional(),
});

const REGISTRATION = { cost: 5, urgency: 'registration' } as const;

/** Attempts to write a state that other processes change at the same time; after that this process counts alone. */
const MAX_ATTEMPTS = 50;
const MAX_RETRY_DELAY_MS = 100;
/** A waiting call checks again after this: a more urgent call may have gone first, or the forge may have reported a new limit. */
const RECHECK_INTERVAL_MS = 1000;
/** Without points to count, how old the state read from the bucket may be. */
const MAX_STATE_AGE_MS = 1000;

export interface SharedBudgetOptions {
  /** Of the App or token, such as `app-12345`: the key in the bucket. */
  key: string;
  /** The bucket that all orchestrators share. */
  bucket: KV;
  /** 0: only the limits that the forge reports. */
  pointsPerMinute: number;
  /** Called after each wait, with seconds. */
  onWait: (urgency: Urgency, seconds: number) => void;
  log: Logger;
}

/** A budget for metrics and the status. */
export interface BudgetView {
  key: string;
  waiting: number;
  state: BudgetState;
}

/**
 * The rate-limit budget of one App (or token), in a NATS bucket that all orchestrators share. Without NATS each orchestrator
 * counts for itself, and still obeys the limits that the forge reports to it.
 */
export class KeyValueBudget implements SharedBudget {
  readonly #options: SharedBudgetOptions;
  readonly #plan: Plan | undefined;
  #state: BudgetState;
  #readAt = 0;
  /** Not in the bucket yet. */
  #observed: ObservedLimits[] = [];
  #waiting = 0;
  /** One change at a time: the bucket accepts only one anyway. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: SharedBudgetOptions) {
    this.#options = options;
    this.#plan = toPlan(options.pointsPerMinute);
    this.#state = fullBudget(this.#plan, Date.now());
  }

  async take(call: { cost: number; urgency: Urgency }, patienceMs: number): Promise<number> {
    const begun = Date.now();
    this.#waiting += 1;
    try {
      for (;;) {
        const wait = await this.#inTurn(() => this.#trySpend(call));
        if (wait === 0) return 0;
        if (Date.now() - begun + wait > patienceMs) return wait;
        await sleep(Math.min(wait, RECHECK_INTERVAL_MS));
      }
    } finally {
      this.#waiting -= 1;
      this.#options.onWait(call.urgency, (Date.now() - begun) / 1000);
    }
  }

  observe(limits: ObservedLimits): void {
    const before = this.#state.blockedUntil;
    this.#observed.push(limits);
    this.#state = observeLimits(this.#state, limits, Date.now());
    if (this.#state.blockedUntil === before) return;
    const { key, log } = this.#options;
    log.warn({ key, until: new Date(this.#state.blockedUntil).toISOString() }, 'forge rate limit reached');
    // So that no other process has to run into the limit first.
    void this.#inTurn(() => this.#change((state) => state));
  }

  view(): BudgetView {
    return { key: this.#options.key, waiting: this.#waiting, state: this.#state };
  }

  /** What this budget allows for registrations now. */
  getRegistrationOutlook(): RegistrationOutlook {
    const now = Date.now();
    const { blockedUntil } = this.#state;
    const waitMs = computeWait(this.#state, this.#plan, REGISTRATION, now);
    return {
      perMinute: this.#plan === undefined ? null : Math.floor(this.#options.pointsPerMinute / REGISTRATION.cost),
      waitMs,
      blocked: blockedUntil > now ? `the forge's rate limit until ${new Date(blockedUntil).toISOString()}` : null,
    };
  }

  /** The share of the budget that is left, 0 to 1: to choose among several budgets. */
  getRemainingShare(): number {
    const { points, primary, blockedUntil } = this.#state;
    if (blockedUntil > Date.now()) return 0;
    const share = primary === undefined || primary.limit === 0 ? 1 : primary.remaining / primary.limit;
    return this.#plan === undefined ? share : Math.min(share, Math.max(0, points) / this.#plan.burst);
  }

  /** @returns 0 when the call was counted, else how long it has to wait, milliseconds */
  async #trySpend(call: { cost: number; urgency: Urgency }): Promise<number> {
    // Nothing to count: a recent state is enough, which says whether the forge blocks calls.
    if (this.#plan === undefined && Date.now() - this.#readAt < MAX_STATE_AGE_MS) {
      return computeWait(this.#state, undefined, call, Date.now());
    }
    let wait = 0;
    await this.#change((state, now) => {
      wait = computeWait(state, this.#plan, call, now);
      return wait === 0 ? spend(state, this.#plan, call.cost, now) : state;
    });
    return wait;
  }

  /** Changes the shared state; adds the limits that the forge has reported to this process since. */
  async #change(change: (state: BudgetState, now: number) => BudgetState): Promise<void> {
    const { bucket, key, log } = this.#options;
    const observed = this.#observed.splice(0);
    const next = (state: BudgetState): BudgetState => {
      const now = Date.now();
      return change(
        observed.reduce((sum, limits) => observeLimits(sum, limits, now), state),
        now,
      );
    };
    try {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const entry = await bucket.get(key);
        const known = entry === null ? undefined : stored.safeParse(decode(entry.value)).data;
        const changed = next(known ?? fullBudget(this.#plan, Date.now()));
        this.#readAt = Date.now();
        if (await this.#put(changed, entry?.revision ?? 0)) {
          this.#state = changed;
          return;
        }
        // Without a random pause, two processes would collide again and again.
        await sleep(Math.random() * Math.min(MAX_RETRY_DELAY_MS, 2 ** attempt));
      }
      log.warn({ key }, 'shared rate-limit budget not updated: other orchestrators kept changing it; counting alone');
    } catch (error) {
      log.debug({ key, reason: getErrorMessage(error) }, 'shared rate-limit budget unreachable: counting alone');
    }
    this.#readAt = Date.now();
    this.#state = next(this.#state);
  }

  /** @returns false when another process changed the state first */
  async #put(state: BudgetState, revision: number): Promise<boolean> {
    const { bucket, key } = this.#options;
    try {
      if (revision === 0) await bucket.create(key, encode(state));
      else await bucket.update(key, encode(state), revision);
      return true;
    } catch (error) {
      // Error 10071: the bucket has a newer revision.
      if (getErrorMessage(error).includes('wrong last sequence')) return false;
      throw error;
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }
}
