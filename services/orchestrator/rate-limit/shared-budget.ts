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
import { messageOf } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';

const stored = z.object({
  points: z.number(),
  at: z.number(),
  blockedUntil: z.number(),
  primary: z.object({ limit: z.number(), remaining: z.number(), resetAt: z.number() }).optional(),
});

/** Another process changed it in between: so often is it tried again before one's own numbers must do. */
const TRIES = 50;
/** The longest pause between two tries. */
const PAUSE_MS = 100;
/** Waiting calls look again by then: a more urgent one may have come first, or the forge said something else. */
const LOOK_AGAIN_MS = 1000;
/** Without points to count, what others heard is looked up that often. */
const FRESH_MS = 1000;

export interface SharedBudgetOptions {
  /** Whose budget: `app-12345`, the key in the bucket. */
  key: string;
  /** The bucket that all orchestrators share. */
  bucket: KV;
  /** 0: none but what the forge says. */
  pointsPerMinute: number;
  /** Called after each wait, with seconds. */
  onWait: (urgency: Urgency, seconds: number) => void;
  log: Logger;
}

/** What people see of a budget. */
export interface BudgetView {
  key: string;
  waiting: number;
  state: BudgetState;
}

/**
 * One App's (or token's) budget, in a bucket of NATS that all orchestrators share. Without NATS each counts for itself: the
 * forge's own word still holds.
 */
export class KeyValueBudget implements SharedBudget {
  readonly #options: SharedBudgetOptions;
  readonly #plan: Plan | undefined;
  #state: BudgetState;
  #looked = 0;
  #heard: ObservedLimits[] = [];
  #waiting = 0;
  /** One change at a time: the bucket takes them one after the other anyway. */
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
        const wait = await this.#inTurn(() => this.#try(call));
        if (wait === 0) return 0;
        if (Date.now() - begun + wait > patienceMs) return wait;
        await sleep(Math.min(wait, LOOK_AGAIN_MS));
      }
    } finally {
      this.#waiting -= 1;
      this.#options.onWait(call.urgency, (Date.now() - begun) / 1000);
    }
  }

  observe(heard: ObservedLimits): void {
    const before = this.#state.blockedUntil;
    this.#heard.push(heard);
    this.#state = observeLimits(this.#state, heard, Date.now());
    if (this.#state.blockedUntil === before) return;
    const { key, log } = this.#options;
    log.warn({ key, until: new Date(this.#state.blockedUntil).toISOString() }, 'the forge asks to wait');
    // The others must not learn it one by one.
    void this.#inTurn(() => this.#change((state) => state));
  }

  view(): BudgetView {
    return { key: this.#options.key, waiting: this.#waiting, state: this.#state };
  }

  /** How much there is left, 0 to 1: to choose among several. */
  room(): number {
    const { points, primary, blockedUntil } = this.#state;
    if (blockedUntil > Date.now()) return 0;
    const share = primary === undefined || primary.limit === 0 ? 1 : primary.remaining / primary.limit;
    return this.#plan === undefined ? share : Math.min(share, Math.max(0, points) / this.#plan.burst);
  }

  async #try(call: { cost: number; urgency: Urgency }): Promise<number> {
    // Nothing to count: others' word on a block is enough, a moment old.
    if (this.#plan === undefined && Date.now() - this.#looked < FRESH_MS) {
      return computeWait(this.#state, undefined, call, Date.now());
    }
    let wait = 0;
    await this.#change((state, now) => {
      wait = computeWait(state, this.#plan, call, now);
      return wait === 0 ? spend(state, this.#plan, call.cost, now) : state;
    });
    return wait;
  }

  /** Changes what is shared, together with what was heard since. */
  async #change(change: (state: BudgetState, now: number) => BudgetState): Promise<void> {
    const { bucket, key, log } = this.#options;
    const heard = this.#heard.splice(0);
    const next = (state: BudgetState): BudgetState => {
      const now = Date.now();
      return change(
        heard.reduce((sum, one) => observeLimits(sum, one, now), state),
        now,
      );
    };
    try {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const entry = await bucket.get(key);
        const known = entry === null ? undefined : stored.safeParse(decode(entry.value)).data;
        const changed = next(known ?? fullBudget(this.#plan, Date.now()));
        this.#looked = Date.now();
        if (await this.#put(changed, entry?.revision ?? 0)) {
          this.#state = changed;
          return;
        }
        // At once it would lose again: who was quicker is so in step with it that it always is.
        await sleep(Math.random() * Math.min(PAUSE_MS, 2 ** attempt));
      }
      log.warn({ key }, 'others change the shared budget without a pause: counting alone');
    } catch (error) {
      log.debug({ key, reason: messageOf(error) }, 'the shared budget can’t be reached: counting alone');
    }
    this.#looked = Date.now();
    this.#state = next(this.#state);
  }

  /** False where another process was quicker. */
  async #put(state: BudgetState, revision: number): Promise<boolean> {
    const { bucket, key } = this.#options;
    try {
      if (revision === 0) await bucket.create(key, encode(state));
      else await bucket.update(key, encode(state), revision);
      return true;
    } catch (error) {
      // 10071: the last revision is another one.
      if (messageOf(error).includes('wrong last sequence')) return false;
      throw error;
    }
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return await mine;
  }
}
