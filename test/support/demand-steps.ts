import { array, boolean, constant, constantFrom, integer, nat, oneof, record, type Arbitrary } from 'fast-check';
import type { JobNotice } from '../../contracts/workflows/job.ts';
import type { JobAction } from '../../contracts/messages/job-event.ts';
import { DemandTracker } from '../../workflows/dispatcher/demand-tracker.ts';
import { aJob } from './a-job.ts';

export const NOW = Date.parse('2026-01-01T00:00:00Z');
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
export const JOBS = 4;
export const RUNNERS = 6;

/** An event of a dispatcher, for a job or a runner by its number. Any of them may come again, late, or never. */
export type DemandStep =
  | { do: 'job'; action: JobAction; job: number; delivery: number; runner: number | null }
  | { do: 'busy'; runner: number; job: number }
  | { do: 'leaving'; runner: number; failed: boolean }
  | { do: 'gone'; runner: number; ranJob: boolean; failed: boolean }
  | { do: 'ask'; runner: number }
  | { do: 'surplus' }
  | { do: 'limits'; min: number; max: number; outdated: boolean }
  | { do: 'retry' }
  | { do: 'wait'; ms: number };

const runner = nat(RUNNERS - 1);
const job = nat(JOBS - 1);
const waits = constantFrom(1, MINUTE_MS, 11 * MINUTE_MS, HOUR_MS, 25 * HOUR_MS, 50 * HOUR_MS);

const step: Arbitrary<DemandStep> = oneof(
  {
    weight: 6,
    arbitrary: record({
      do: constant('job' as const),
      action: constantFrom<JobAction>('queued', 'queued', 'queued', 'waiting', 'in_progress', 'completed'),
      job,
      delivery: nat(2),
      runner: oneof(constant(null), runner),
    }),
  },
  { weight: 2, arbitrary: record({ do: constant('busy' as const), runner, job }) },
  { weight: 2, arbitrary: record({ do: constant('leaving' as const), runner, failed: boolean() }) },
  { weight: 2, arbitrary: record({ do: constant('gone' as const), runner, ranJob: boolean(), failed: boolean() }) },
  { weight: 3, arbitrary: record({ do: constant('ask' as const), runner }) },
  { weight: 1, arbitrary: record({ do: constant('surplus' as const) }) },
  {
    weight: 1,
    arbitrary: record({
      do: constant('limits' as const),
      min: nat(2),
      max: integer({ min: 0, max: RUNNERS }),
      outdated: boolean(),
    }),
  },
  { weight: 1, arbitrary: record({ do: constant('retry' as const) }) },
  { weight: 4, arbitrary: record({ do: constant('wait' as const), ms: waits }) },
);
export const demandSteps = array(step, { maxLength: 40, size: 'max' });

/** A dispatcher's tracker, and beside it what a dispatcher knows by itself. */
export class DemandRun {
  tracker = new DemandTracker();
  limits = { min: 0, max: 3 };
  now = NOW;
  /** Names of all runners that were started, in order. */
  readonly started: string[] = [];
  readonly gone = new Set<string>();
  /** Runners that were allowed to leave, or said that they do, and that got no job since. */
  readonly leaving = new Set<string>();
  readonly busy = new Set<string>();
  /** Runners that were allowed to leave although they had a job. */
  readonly wrong: string[] = [];

  /** @returns how many runners a dispatcher starts after that */
  apply(next: DemandStep): number {
    this.#apply(next);
    const count = this.tracker.countShortage(this.limits, this.now);
    const runners = Array.from({ length: count }, (_, index) => `r${this.started.length + index}`);
    this.started.push(...runners);
    this.tracker.addRunners(runners, this.now);
    return count;
  }

  get existing(): string[] {
    return this.started.filter((name) => !this.gone.has(name));
  }

  #apply(next: DemandStep): void {
    const { tracker, now } = this;
    switch (next.do) {
      case 'job':
        return this.#applyJob(next);
      case 'busy': {
        const name = this.#pick(next.runner);
        if (name === undefined) return;
        this.#setBusy(name);
        return tracker.markBusy(name, toHookJob(next.job));
      }
      case 'leaving': {
        const name = this.#pick(next.runner);
        if (name === undefined) return;
        if (!this.busy.has(name)) this.leaving.add(name);
        return tracker.markLeaving(name, next.failed, now);
      }
      case 'gone': {
        const name = this.#pick(next.runner);
        if (name === undefined) return;
        this.gone.add(name);
        const { ranJob, failed } = next;
        return tracker.removeRunner(
          { runner: name, reason: 'retired', ranJob, failed: failed && !ranJob, detail: '' },
          now,
        );
      }
      case 'ask': {
        const name = this.#pick(next.runner);
        if (name === undefined || !tracker.mayRetire(name, this.limits, now)) return;
        if (this.busy.has(name) && !this.gone.has(name)) this.wrong.push(name);
        else this.leaving.add(name);
        return;
      }
      case 'surplus':
        tracker.takeSurplus(this.limits, now);
        return;
      case 'limits':
        this.limits = { min: Math.min(next.min, next.max), max: next.max };
        if (next.outdated) tracker.markOutdated('b');
        return;
      case 'retry':
        return tracker.retryPassedOver(now);
      case 'wait':
        this.now += next.ms;
        return;
      default:
        next satisfies never;
    }
  }

  #applyJob({ action, job: id, delivery, runner: number }: Extract<DemandStep, { do: 'job' }>): void {
    const taken = action === 'in_progress' || action === 'completed';
    const name = taken && number !== null ? (this.#pick(number) ?? null) : null;
    if (name !== null) this.#setBusy(name);
    this.tracker.applyJob(toNotice({ action, id, delivery, runnerName: name, at: this.now }), this.now);
  }

  #setBusy(name: string): void {
    if (this.gone.has(name)) return;
    this.busy.add(name);
    this.leaving.delete(name);
  }

  /** Any runner that ever was, also one that is gone. */
  #pick(number: number): string | undefined {
    return this.started.at(-1 - number);
  }
}

export function toNotice(order: {
  action: JobAction;
  id: number;
  delivery: number;
  runnerName: string | null;
  at: number;
}): JobNotice {
  const { action, id, delivery, runnerName, at } = order;
  return aJob(action, id, {
    delivery: `${action}-${id}-${delivery}`,
    runId: id % 2,
    runnerName,
    at: new Date(at).toISOString(),
  });
}

const toHookJob = (id: number) => ({
  runId: id % 2,
  runAttempt: 1,
  repository: 'acme/hello',
  workflow: 'ci',
  jobKey: 'build',
});
