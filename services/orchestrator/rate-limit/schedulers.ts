import { randomUUID } from 'node:crypto';
import type { Registry } from 'prom-client';
import { Budget } from '../../../activities/forges/github/scheduler/budget.ts';
import { describeBlock } from '../../../activities/forges/github/scheduler/blocks.ts';
import { PRIORITIES } from '../../../activities/forges/github/scheduler/call.ts';
import { CallScheduler, MAX_IN_FLIGHT } from '../../../activities/forges/github/scheduler/scheduler.ts';
import { ScopeLimit } from '../../../activities/forges/github/scheduler/scope-limit.ts';
import { budgetState, EMPTY_STATE } from '../../../activities/forges/github/scheduler/state.ts';
import { windowUses, type WindowLength, type WindowUses } from '../../../activities/lib/sliding-window.ts';
import { openBucket, type Bucket, type Bus } from '../../../contracts/lib/nats.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { ForgeCalls, ForgeLimit } from '../../../contracts/messages/status.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { KeyValueDocument } from './key-value-document.ts';
import { SchedulerMetrics } from './scheduler-metrics.ts';
import { SharedClock, type LocalClocks } from './shared-clock.ts';

export interface SchedulersOptions {
  /** Default: GitHub's minute. */
  window?: WindowLength;
  /** Default: GitHub's limit of registrations in a scope. */
  scope?: { cap: number; window: WindowLength };
  /** Default: this machine's. */
  local?: LocalClocks | undefined;
}

/** The schedulers of the installation's Apps (or token); all orchestrators share their budgets. */
export class Schedulers {
  /** The limit of registrations that all Apps share. */
  readonly scopes: ScopeLimit;
  /** What all orchestrators share about the forge. */
  readonly bucket: Bucket;
  /** The time by which they stamp it. */
  readonly clock: SharedClock;
  readonly #log: Logger;
  readonly #window: WindowLength | undefined;
  readonly #metrics: SchedulerMetrics;
  readonly #process = randomUUID().slice(0, 8);
  readonly #schedulers: CallScheduler[] = [];

  private constructor(
    shared: { bucket: Bucket; clock: SharedClock },
    metrics: Registry,
    log: Logger,
    options: SchedulersOptions,
  ) {
    const { bucket, clock } = shared;
    this.bucket = bucket;
    this.clock = clock;
    this.#log = log;
    this.#window = options.window;
    this.#metrics = new SchedulerMetrics(metrics, this.#schedulers);
    const open = (scope: string): KeyValueDocument<WindowUses> => {
      // A key may not have two dots in a row, as a repository's name may; `=` is in no name.
      const key = `registrations/${scope.replaceAll('.', '=')}`;
      return new KeyValueDocument({ bucket, key, schema: windowUses, empty: [], log });
    };
    this.scopes = new ScopeLimit({ open, now: clock.now, ...options.scope });
  }

  /** Opens the NATS bucket that holds the shared budgets. */
  static async open(bus: Bus, metrics: Registry, log: Logger, options: SchedulersOptions = {}): Promise<Schedulers> {
    const bucket = await openBucket(bus, STREAMS.forge);
    const clock = await SharedClock.start({ bucket, log, local: options.local });
    return new Schedulers({ bucket, clock }, metrics, log, options);
  }

  /**
   * Creates a scheduler; metrics and status show it from now on.
   *
   * @param key names the App or token in the bucket, metrics and status: letters, digits and dashes
   * @param pointsPerMinute 0: no limit of Baton's own
   */
  create(key: string, pointsPerMinute: number): CallScheduler {
    const log = this.#log;
    const document = new KeyValueDocument({ bucket: this.bucket, key, schema: budgetState, empty: EMPTY_STATE, log });
    const budget = new Budget({
      pointsPerMinute,
      document,
      scopes: this.scopes,
      process: this.#process,
      now: this.clock.now,
      ...(this.#window === undefined ? {} : { window: this.#window }),
    });
    const scheduler = new CallScheduler({ name: key, budget, scopes: this.scopes, log, ...this.#metrics.observe(key) });
    this.#schedulers.push(scheduler);
    return scheduler;
  }

  /** The Apps' limits as the status shows them. */
  limits(): ForgeLimit[] {
    return this.#schedulers.map((scheduler) => toForgeLimit(scheduler));
  }
}

function toForgeLimit(scheduler: CallScheduler): ForgeLimit {
  const { budget, inFlight } = scheduler.view();
  const now = budget.now();
  const { state } = budget;
  const primary = state.primary['installation core'];
  // The queue of this process as it is now, those of the others as they last said.
  const queues = scheduler.listQueues();
  const used = budget.getUsed();
  const calls = PRIORITIES.map((priority): ForgeCalls => {
    const waiting = queues.map((queue) => queue[priority]).filter((queue) => queue.waiting > 0);
    const since = Math.min(...waiting.map((queue) => queue.since));
    return {
      priority,
      waiting: waiting.reduce((sum, queue) => sum + queue.waiting, 0),
      longestWaitMs: waiting.length === 0 ? 0 : Math.max(0, now - since),
      inFlight: inFlight[priority],
      pointsUsed: used[priority],
    };
  });
  const blocks = Object.values(state.blocks).filter(({ until, probeUntil }) => until > now || probeUntil > now);
  const [longest] = blocks.sort((a, b) => b.until - a.until);
  return {
    name: scheduler.name,
    waiting: calls.reduce((sum, { waiting }) => sum + waiting, 0),
    limit: primary?.limit ?? null,
    remaining: primary?.remaining ?? null,
    resetAt: primary === undefined ? null : new Date(primary.resetAt).toISOString(),
    blockedUntil: longest === undefined ? null : new Date(longest.until).toISOString(),
    blockedBy: longest === undefined ? null : describeBlock(longest),
    pointsPerMinute: budget.cap === 0 ? null : budget.cap,
    maxInFlight: MAX_IN_FLIGHT,
    calls,
  };
}
