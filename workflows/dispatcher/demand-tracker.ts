import type { JobStatus, Roster } from '../../contracts/workflows/dispatcher.ts';
import { toRunKey, type JobNotice, type MovedJob } from '../../contracts/workflows/job.ts';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { HookJob } from '../../contracts/messages/runner-signal.ts';
import type { RunnerOutcome } from '../../contracts/workflows/phase.ts';
import type { AdoptedRunner } from '../../contracts/workflows/takeover.ts';
import { chooseSurplus, countEach, type KnownRunner, type RunnerCounts } from './known-runner.ts';
import { StartBackoff, type BackoffState } from './start-backoff.ts';
import { decrement, WaitingJobs, type WaitingJobsState } from './waiting.ts';
import { isTooOld, isWaiting, type WaitingJob } from './waiting-job.ts';

/** This many finished jobs are remembered, so that a late `queued` event creates no demand. */
const MAX_CLOSED_JOBS = 10_000;

/** How many runners a group may have, and how many idle ones it should have. */
export type GroupLimits = Pick<GroupSettings, 'min' | 'max'>;

/** A {@link DemandTracker} as JSON, for continue-as-new. */
export interface DemandState extends BackoffState {
  waiting: WaitingJobsState;
  closed: string[];
  runners: [string, KnownRunner][];
  unattributedRuns: [string, string][];
}

/**
 * A group's demand and its runners. It counts, and never pairs a runner with a job: the forge gives any matching job to any
 * matching runner. Pure; every event may arrive twice, late, in any order, or never.
 */
export class DemandTracker {
  readonly #waiting: WaitingJobs;
  readonly #closed: Set<string>;
  readonly #runners: Map<string, KnownRunner>;
  /** Runners that are gone, with the run that their hook reported, until the forge reports which job it was. */
  readonly #unattributedRuns: Map<string, string>;
  readonly #backoff: StartBackoff;

  constructor(state?: DemandState) {
    this.#waiting = new WaitingJobs(state?.waiting);
    this.#closed = new Set(state?.closed);
    this.#runners = new Map(state?.runners);
    this.#unattributedRuns = new Map(state?.unattributedRuns);
    this.#backoff = new StartBackoff(state);
  }

  /** Applies what the forge reported about a job. */
  applyJob(notice: JobNotice, now: number): void {
    if (notice.runnerName !== null && notice.action !== 'queued') this.#attribute(notice.runnerName, notice);
    if (this.#closed.has(notice.key)) return;
    for (const key of this.#waiting.tidy(now)) this.#close(key);
    const { action } = notice;
    if (action === 'queued' || action === 'waiting') this.#waiting.apply({ ...notice, action }, now);
    // The forge gives such jobs to this group after all: perhaps it gave none to anybody for a while.
    else if ((this.#close(notice.key)?.passedOver ?? 0) > 0 && action === 'in_progress') this.#waiting.retry(now);
    this.#forgetAttributed(now);
  }

  /** Applies a runner's hook: a job of this run started on it. */
  markBusy(runner: string, job: HookJob): void {
    const known = this.#runners.get(runner);
    if (known === undefined) return;
    known.busy = true;
    delete known.leaving;
    known.run = toRunKey(job.runId, job.runAttempt);
    this.#backoff.restart();
  }

  /**
   * Applies that a runner serves no job any more, although its instance still exists.
   *
   * @param failed whether the next runner will probably fail, too
   */
  markLeaving(runner: string, failed: boolean, now: number): void {
    const known = this.#runners.get(runner);
    // A runner whose job has been reported says later that it is gone.
    if (known === undefined || known.busy) return;
    known.leaving = true;
    if (!failed || known.counted) return;
    known.counted = true;
    this.#backoff.fail(now);
  }

  /** Applies that a runner's instance is gone. */
  removeRunner(outcome: RunnerOutcome, now: number): void {
    const known = this.#runners.get(outcome.runner);
    if (known === undefined) return;
    this.#runners.delete(outcome.runner);
    if (known.job === undefined && known.run !== undefined) this.#unattributedRuns.set(outcome.runner, known.run);
    this.#forgetAttributed(now);
    if (outcome.ranJob) this.#backoff.end();
    else if (outcome.failed && !known.counted) this.#backoff.fail(now);
  }

  /** Adds runners that are being started. */
  addRunners(runners: readonly string[], now: number): void {
    for (const runner of runners) this.#runners.set(runner, { since: now, busy: false });
  }

  /** Takes over the runners that exist, and forgets all others. What is already known of them is kept. */
  adopt(existing: readonly AdoptedRunner[]): void {
    const before = new Map(this.#runners);
    this.#runners.clear();
    for (const { runner, since, backend, busy, leaving, outdated, job, run } of existing) {
      const known: KnownRunner = { ...(before.get(runner) ?? { since, busy }), askedToRetire: false };
      before.delete(runner);
      if (outdated) Object.assign(known, { outdated, backend });
      if (busy) known.busy = true;
      known.leaving = !known.busy && (known.leaving || leaving);
      if (job !== null) {
        known.job ??= job;
        this.#close(job);
      } else if (run !== null) known.run ??= run;
      this.#runners.set(runner, known);
    }
    for (const [runner, { job, run }] of before) {
      if (job === undefined && run !== undefined) this.#unattributedRuns.set(runner, run);
    }
  }

  /** Drops runners that were not started after all. */
  dropUnstarted(runners: readonly string[]): void {
    for (const runner of runners) this.#runners.delete(runner);
  }

  /** How many runners to start now: for the waiting jobs plus `min` idle ones, never more than `max` in all. */
  countShortage(settings: GroupLimits, now: number): number {
    return this.#backoff.isPaused(now) ? 0 : this.#countMissing(settings, now);
  }

  /** When paused starts continue, milliseconds since the epoch; undefined where none are paused. */
  resumeAt(settings: GroupLimits, now: number): number | undefined {
    return this.#backoff.isPaused(now) && this.#countMissing(settings, now) > 0 ? this.#backoff.resumeAt : undefined;
  }

  /**
   * Whether that runner may retire: the group has more than `min` ready ones. From then on it is leaving, so that of two that ask at
   * once only one may where one is needed.
   */
  mayRetire(runner: string, settings: Pick<GroupSettings, 'min'>, now: number): boolean {
    const known = this.#runners.get(runner);
    if (known === undefined || known.leaving) return true;
    // A runner that asks by itself was online all its time to start, and the forge gave it nothing.
    if (!known.busy && !known.askedToRetire) this.#waiting.applyPassedOver(known.since, now);
    if (!known.busy && (known.outdated || countEach(this.#runners).ready > settings.min)) {
      known.leaving = true;
      return true;
    }
    known.askedToRetire = false;
    return false;
  }

  /** Runners by whether a job runs on them, and since when the oldest waiting job waits. */
  countRunners(now: number): RunnerCounts & { waiting: number; oldestSince: number | undefined } {
    const waiting = this.countDemand(now);
    return { waiting, oldestSince: this.#waiting.findOldestSince(now), ...countEach(this.#runners) };
  }

  /** Since when the first `count` jobs wait that no starting runner will serve, oldest first; null for an idle runner. */
  listUnservedSince(count: number, now: number): (number | null)[] {
    const { ready } = countEach(this.#runners);
    const sinces = this.#waiting.listDueSince(now).slice(ready, ready + count);
    return Array.from({ length: count }, (_, index) => sinces[index] ?? null);
  }

  /** How many runners exist on that backend; `current` is the group's own. */
  countRunnersOn(backend: string, current: string): number {
    let count = 0;
    for (const runner of this.#runners.values()) if ((runner.backend ?? current) === backend) count += 1;
    return count;
  }

  get size(): number {
    return this.#runners.size;
  }

  /** Marks all existing runners as created with earlier settings, which named that backend. */
  markOutdated(backend: string): void {
    for (const runner of this.#runners.values()) {
      runner.outdated = true;
      runner.backend ??= backend;
    }
  }

  /**
   * Idle runners that the group no longer needs: those above the limits, and outdated ones that no waiting job needs. Each is
   * returned once.
   *
   * @param max how many to return; call it again for the others
   */
  takeSurplus(settings: GroupLimits, now: number, max = Infinity): string[] {
    const { busy } = countEach(this.#runners);
    const demand = this.countDemand(now);
    const wanted = Math.max(0, Math.min(demand + settings.min, settings.max - busy));
    const chosen = chooseSurplus(this.#runners, { wanted, demand }, max);
    for (const [, runner] of chosen) runner.askedToRetire = true;
    return chosen.map(([name]) => name);
  }

  /** The first `max` waiting jobs, for another group; {@link DemandTracker.forget} them afterwards. */
  listForMove(max: number, now: number): MovedJob[] {
    // A held job is queued again after its protection, and then goes to the right group.
    for (const job of this.#waiting.values()) if (!isWaiting(job, now)) this.#waiting.delete(job.key);
    return this.#waiting.listForMove(max);
  }

  forget(jobs: readonly MovedJob[]): void {
    for (const { key } of jobs) this.#waiting.delete(key);
  }

  /** What is known of a job, by its id, in any attempt. */
  getJobStatus(jobId: number, now: number): JobStatus {
    const isMine = (key: string | undefined): boolean => key?.startsWith(`${jobId}:`) ?? false;
    const nothing = { since: null, position: null, runner: null, passedOver: 0, nextTryAt: null, needs: null };
    for (const [runner, { job }] of this.#runners) if (isMine(job)) return { ...nothing, state: 'running', runner };
    const status = this.#waiting.findStatus(isMine, now);
    if (status !== undefined) return status;
    return { ...nothing, state: [...this.#closed].some(isMine) ? 'finished' : 'unknown' };
  }

  /** How many jobs need a runner now. */
  countDemand(now: number): number {
    const runs = this.#waiting.countByRun(now);
    // A hook reports the run, not the job: until the forge reports the job, the runner serves any one job of that run.
    for (const runner of this.#runners.values()) {
      if (runner.job === undefined && runner.run !== undefined) decrement(runs, runner.run);
    }
    for (const run of this.#unattributedRuns.values()) decrement(runs, run);
    let demand = 0;
    for (const { due } of runs.values()) demand += due;
    return demand;
  }

  /** Jobs that runners passed over and that are no demand for now, and when the first of them is tried again. */
  countPassedOver(now: number): { jobs: number; nextAt: number | undefined } {
    return this.#waiting.countPassedOver(now);
  }

  /** Lets all jobs that runners passed over count again now: somebody may have changed why. */
  retryPassedOver(now: number): void {
    this.#waiting.retry(now);
  }

  /** Everything that is counted, by name, for the health check. */
  toRoster(now: number): Roster {
    const jobs = [...this.#waiting.values()].filter((job) => !isTooOld(job, now));
    return {
      slots: Array.from(this.#runners, ([runner, { since, busy }]) => ({ runner, since, busy })),
      waiting: jobs.map(({ key, jobId, needs, since, held }) => ({
        key,
        jobId,
        repository: needs.repository,
        since,
        held,
      })),
    };
  }

  toState(): DemandState {
    return {
      waiting: this.#waiting.toState(),
      closed: [...this.#closed],
      runners: [...this.#runners],
      unattributedRuns: [...this.#unattributedRuns],
      ...this.#backoff.toState(),
    };
  }

  #countMissing(settings: GroupLimits, now: number): number {
    const wanted = this.countDemand(now) + settings.min - countEach(this.#runners).ready;
    return Math.max(0, Math.min(wanted, settings.max - this.#runners.size));
  }

  #attribute(runner: string, notice: JobNotice): void {
    this.#unattributedRuns.delete(runner);
    const known = this.#runners.get(runner);
    if (known === undefined) return;
    known.busy = true;
    delete known.leaving;
    known.job = notice.key;
    this.#backoff.restart();
  }

  /** Forgets runs of ended runners of which no job waits: they must not count for a job that comes later. */
  #forgetAttributed(now: number): void {
    if (this.#unattributedRuns.size === 0) return;
    const runs = this.#waiting.countByRun(now);
    for (const [runner, run] of this.#unattributedRuns) {
      if (!decrement(runs, run)) this.#unattributedRuns.delete(runner);
    }
  }

  #close(key: string): WaitingJob | undefined {
    this.#closed.add(key);
    if (this.#closed.size > MAX_CLOSED_JOBS) {
      const [oldest] = this.#closed;
      if (oldest !== undefined) this.#closed.delete(oldest);
    }
    return this.#waiting.delete(key);
  }
}
