import type { JobStatus, Roster } from '../../contracts/workflows/dispatcher.ts';
import type { JobNotice, MovedJob } from '../../contracts/workflows/job.ts';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { HookJob } from '../../contracts/messages/runner-signal.ts';
import type { RunnerOutcome } from '../../contracts/workflows/phase.ts';
import { decrement, toRunKey, WaitingJobs, type WaitingJobsState } from './waiting.ts';

/** GitHub cancels a job that was queued for 24 h: older demand no longer exists. */
const JOB_LIFETIME_MS = 24 * 3_600_000;
/** This many finished jobs are remembered, so that a late `queued` event creates no demand. */
const MAX_CLOSED_JOBS = 10_000;
const FIRST_BACKOFF_MS = 1000;
const MAX_BACKOFF_MS = 5 * 60_000;

interface KnownRunner {
  since: number;
  busy: boolean;
  /** The job's key, once the forge has reported it. */
  job?: string;
  /** The run, where only the runner's own hook has reported so far. */
  run?: string;
  /** Created with earlier settings: retires first. */
  outdated?: boolean;
  /** Asked to retire. */
  askedToRetire?: boolean;
  /** It serves no job any more, though its instance still exists: it counts towards `max` only. */
  leaving?: boolean;
  /** It failed, which slowed the next starts down already. */
  counted?: boolean;
  /** Its backend, where the group's backend has changed since. */
  backend?: string;
}

/** How many runners a group may have, and how many idle ones it should have. */
export type GroupLimits = Pick<GroupSettings, 'min' | 'max'>;

/** A group's runners, each counted once: `ready` ones start or are idle, `leaving` ones serve no job any more. */
interface RunnerCounts {
  busy: number;
  ready: number;
  leaving: number;
}

/** A {@link DemandTracker} as JSON, for continue-as-new. */
export interface DemandState {
  waiting: WaitingJobsState;
  closed: string[];
  runners: [string, KnownRunner][];
  unattributedRuns: [string, string][];
  failures: number;
  notBefore: number;
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
  #failures: number;
  #notBefore: number;

  constructor(state?: DemandState) {
    this.#waiting = new WaitingJobs(state?.waiting);
    this.#closed = new Set(state?.closed);
    this.#runners = new Map(state?.runners);
    this.#unattributedRuns = new Map(state?.unattributedRuns);
    this.#failures = state?.failures ?? 0;
    this.#notBefore = state?.notBefore ?? 0;
  }

  /** Applies what the forge reported about a job. */
  applyJob(notice: JobNotice, now: number): void {
    if (notice.runnerName !== null && notice.action !== 'queued') this.#attribute(notice.runnerName, notice);
    if (this.#closed.has(notice.key)) return;
    switch (notice.action) {
      case 'queued': {
        const job = this.#waiting.get(notice.key) ?? this.#waiting.add(notice, now);
        if (job.queued.includes(notice.delivery)) return;
        job.queued.push(notice.delivery);
        job.held = false;
        return;
      }
      case 'waiting': {
        // A job with a protected environment is queued twice: before the protection and after it. If both events have
        // arrived already, this one is late and must not hold the job.
        const job = this.#waiting.get(notice.key) ?? this.#waiting.add(notice, now);
        if (job.queued.length < 2) job.held = true;
        return;
      }
      case 'in_progress':
      case 'completed':
        this.#close(notice.key);
        return;
      default:
        notice.action satisfies never;
    }
  }

  /** Applies a runner's hook: a job of this run started on it. */
  markBusy(runner: string, job: HookJob): void {
    const known = this.#runners.get(runner);
    if (known === undefined) return;
    known.busy = true;
    delete known.leaving;
    known.run = toRunKey(job.runId, job.runAttempt);
    this.#failures = 0;
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
    this.#countFailure(now);
  }

  /** Applies that a runner's instance is gone. */
  removeRunner(outcome: RunnerOutcome, now: number): void {
    const known = this.#runners.get(outcome.runner);
    if (known === undefined) return;
    this.#runners.delete(outcome.runner);
    if (known.job === undefined && known.run !== undefined) this.#unattributedRuns.set(outcome.runner, known.run);
    if (outcome.ranJob) {
      this.#failures = 0;
      this.#notBefore = 0;
    } else if (outcome.failed && !known.counted) {
      this.#countFailure(now);
    }
  }

  /** Adds runners that are being started. */
  addRunners(runners: readonly string[], now: number): void {
    for (const runner of runners) this.#runners.set(runner, { since: now, busy: false });
  }

  /** Drops runners that were not started after all. */
  dropUnstarted(runners: readonly string[]): void {
    for (const runner of runners) this.#runners.delete(runner);
  }

  /** How many runners to start now: for the waiting jobs plus `min` idle ones, never more than `max` in all. */
  countShortage(settings: GroupLimits, now: number): number {
    if (now < this.#notBefore) return 0;
    return this.#countMissing(settings, now);
  }

  /** When paused starts continue, milliseconds since the epoch; undefined where none are paused. */
  resumeAt(settings: GroupLimits, now: number): number | undefined {
    return now < this.#notBefore && this.#countMissing(settings, now) > 0 ? this.#notBefore : undefined;
  }

  /**
   * Whether that runner may retire: the group has more than `min` ready ones. From then on it is leaving, so that of two that ask at
   * once only one may where one is needed.
   */
  mayRetire(runner: string, settings: Pick<GroupSettings, 'min'>): boolean {
    const known = this.#runners.get(runner);
    if (known === undefined || known.leaving) return true;
    if (!known.busy && (known.outdated || this.#countReady().ready > settings.min)) {
      known.leaving = true;
      return true;
    }
    known.askedToRetire = false;
    return false;
  }

  /** Runners by whether a job runs on them, and since when the oldest waiting job waits. */
  countRunners(now: number): RunnerCounts & { waiting: number; oldestSince: number | undefined } {
    const waiting = this.countDemand(now);
    return { waiting, oldestSince: waiting > 0 ? this.#waiting.findOldestSince() : undefined, ...this.#countReady() };
  }

  /** Since when the first `count` jobs wait that no starting runner will serve, oldest first; null for an idle runner. */
  listUnservedSince(count: number): (number | null)[] {
    const { ready } = this.#countReady();
    const sinces = this.#waiting.listWaitingSince().slice(ready, ready + count);
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
    const { busy, ready } = this.#countReady();
    const demand = this.countDemand(now);
    const wanted = Math.max(0, Math.min(demand + settings.min, settings.max - busy));
    const idle = [...this.#runners].filter(([, runner]) => !runner.busy && !runner.leaving);
    const outdated = idle.filter(([, { outdated: stale }]) => stale).length;
    const count = Math.max(ready - wanted, Math.min(outdated, ready - demand));
    const asked = idle.filter(([, runner]) => runner.askedToRetire).length;
    const chosen = idle
      .filter(([, runner]) => !runner.askedToRetire)
      .sort(([, a], [, b]) => Number(b.outdated ?? false) - Number(a.outdated ?? false) || a.since - b.since)
      .slice(0, Math.min(max, Math.max(0, count - asked)));
    for (const [, runner] of chosen) runner.askedToRetire = true;
    return chosen.map(([name]) => name);
  }

  /** The first `max` waiting jobs, for another group; {@link DemandTracker.forget} them afterwards. */
  listForMove(max: number): MovedJob[] {
    // A held job is queued again after its protection, and then goes to the right group.
    for (const job of this.#waiting.values()) if (job.held) this.#waiting.delete(job.key);
    return this.#waiting.listForMove(max);
  }

  forget(jobs: readonly MovedJob[]): void {
    for (const { key } of jobs) this.#waiting.delete(key);
  }

  /** What is known of a job, by its id, in any attempt. */
  getJobStatus(jobId: number): JobStatus {
    const mine = (key: string | undefined): boolean => key?.startsWith(`${jobId}:`) ?? false;
    for (const [runner, { job }] of this.#runners) {
      if (mine(job)) return { state: 'running', since: null, position: null, runner, needs: null };
    }
    for (const job of this.#waiting.values()) {
      if (!mine(job.key)) continue;
      const since = new Date(job.since).toISOString();
      const { needs } = job;
      if (job.held) return { state: 'held', since, position: null, runner: null, needs };
      const position = this.#waiting.listWaitingSince().filter((other) => other < job.since).length + 1;
      return { state: 'waiting', since, position, runner: null, needs };
    }
    const finished = [...this.#closed].some(mine);
    return { state: finished ? 'finished' : 'unknown', since: null, position: null, runner: null, needs: null };
  }

  /** How many jobs wait for a runner. */
  countDemand(now: number): number {
    const runs = new Map<string, number>();
    for (const job of this.#waiting.values()) {
      if (now - job.since > JOB_LIFETIME_MS) this.#close(job.key);
      else if (!job.held) runs.set(job.run, (runs.get(job.run) ?? 0) + 1);
    }
    // A hook reports the run, not the job: until the forge reports the job, the runner serves any one job of that run.
    for (const runner of this.#runners.values()) {
      if (runner.job === undefined && runner.run !== undefined) decrement(runs, runner.run);
    }
    for (const [name, run] of this.#unattributedRuns) {
      if (!decrement(runs, run)) this.#unattributedRuns.delete(name);
    }
    let demand = 0;
    for (const count of runs.values()) demand += count;
    return demand;
  }

  /** Everything that is counted, by name, for the health check. */
  toRoster(): Roster {
    return {
      slots: Array.from(this.#runners, ([runner, { since, busy }]) => ({ runner, since, busy })),
      waiting: Array.from(this.#waiting.values(), ({ key, jobId, needs, since }) => {
        return { key, jobId, repository: needs.repository, since };
      }),
    };
  }

  toState(): DemandState {
    return {
      waiting: this.#waiting.toState(),
      closed: [...this.#closed],
      runners: [...this.#runners],
      unattributedRuns: [...this.#unattributedRuns],
      failures: this.#failures,
      notBefore: this.#notBefore,
    };
  }

  #countMissing(settings: GroupLimits, now: number): number {
    const wanted = this.countDemand(now) + settings.min - this.#countReady().ready;
    return Math.max(0, Math.min(wanted, settings.max - this.#runners.size));
  }

  #countReady(): RunnerCounts {
    let busy = 0;
    let leaving = 0;
    for (const runner of this.#runners.values()) {
      if (runner.busy) busy += 1;
      else if (runner.leaving) leaving += 1;
    }
    return { busy, leaving, ready: this.#runners.size - busy - leaving };
  }

  /** A group whose runners fail starts new ones ever more slowly; failures during the pause count as one. */
  #countFailure(now: number): void {
    if (now < this.#notBefore) return;
    this.#failures += 1;
    this.#notBefore = now + Math.min(FIRST_BACKOFF_MS * 2 ** (this.#failures - 1), MAX_BACKOFF_MS);
  }

  #attribute(runner: string, notice: JobNotice): void {
    this.#unattributedRuns.delete(runner);
    const known = this.#runners.get(runner);
    if (known === undefined) return;
    known.busy = true;
    delete known.leaving;
    known.job = notice.key;
    this.#failures = 0;
  }

  #close(key: string): void {
    this.#waiting.delete(key);
    this.#closed.add(key);
    if (this.#closed.size <= MAX_CLOSED_JOBS) return;
    const [oldest] = this.#closed;
    if (oldest !== undefined) this.#closed.delete(oldest);
  }
}
