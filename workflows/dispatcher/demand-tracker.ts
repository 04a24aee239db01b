import type { JobStatus, Roster } from '../../contracts/workflows/dispatcher.ts';
import type { JobNotice, MovedJob } from '../../contracts/workflows/job.ts';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { HookJob } from '../../contracts/messages/runner-signal.ts';
import type { RunnerOutcome } from '../../contracts/workflows/phase.ts';
import { runKey, Waiting, type WaitingState } from './waiting.ts';

/** A queued job dies on GitHub after 24 h: demand older than that is nobody's. */
const JOB_LIFETIME_MS = 24 * 3_600_000;
/** Jobs that are over are remembered, so that a late `queued` makes no demand; the newest so many. */
const CLOSED_LIMIT = 10_000;
const BACKOFF_FIRST_MS = 1000;
const BACKOFF_MOST_MS = 5 * 60_000;

interface KnownRunner {
  since: number;
  busy: boolean;
  /** The job, once the forge has said which one. */
  job?: string;
  /** The run, where only the runner's own hook has spoken so far. */
  run?: string;
  /** Made by settings that hold no longer: goes before others do. */
  stale?: boolean;
  /** Asked to go. */
  asked?: boolean;
  /** The backend it lives on, where that is not the group's any more. */
  backend?: string;
}

/** How many runners a group may have, and how many it keeps warm. */
export type GroupLimits = Pick<GroupSettings, 'min' | 'max'>;

/** A {@link DemandTracker} as JSON, for continue-as-new. */
export interface DemandState {
  waiting: WaitingState;
  closed: string[];
  runners: [string, KnownRunner][];
  unattributedRuns: [string, string][];
  failures: number;
  notBefore: number;
}

/**
 * A group's demand and its runners. Counts, never pairs a runner with a job: the forge gives any matching job to any
 * matching runner. Pure; every entry may come twice, late, in any order, or never.
 */
export class DemandTracker {
  readonly #waiting: Waiting;
  readonly #closed: Set<string>;
  readonly #runners: Map<string, KnownRunner>;
  /** Runners that are gone, with the run their hook told, while the forge hasn't said which job it was. */
  readonly #unattributedRuns: Map<string, string>;
  #failures: number;
  #notBefore: number;

  constructor(state?: DemandState) {
    this.#waiting = new Waiting(state?.waiting);
    this.#closed = new Set(state?.closed);
    this.#runners = new Map(state?.runners);
    this.#unattributedRuns = new Map(state?.unattributedRuns);
    this.#failures = state?.failures ?? 0;
    this.#notBefore = state?.notBefore ?? 0;
  }

  /** The forge's word on a job. */
  applyJob(notice: JobNotice, now: number): void {
    if (notice.runnerName !== null && notice.action !== 'queued') this.#attribute(notice.runnerName, notice);
    if (this.#closed.has(notice.key)) return;
    switch (notice.action) {
      case 'queued': {
        const job = this.#waiting.get(notice.key) ?? this.#waiting.enter(notice, now);
        if (job.queued.includes(notice.delivery)) return;
        job.queued.push(notice.delivery);
        job.held = false;
        return;
      }
      case 'waiting': {
        // A job behind an environment is queued twice, before the protection and after it. Where both were heard
        // already, this one is late and holds nothing back.
        const job = this.#waiting.get(notice.key) ?? this.#waiting.enter(notice, now);
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

  /** A runner's hook says that a job of this run started on it. */
  markBusy(runner: string, job: HookJob): void {
    const known = this.#runners.get(runner);
    if (known === undefined) return;
    known.busy = true;
    known.run = runKey(job.runId, job.runAttempt);
    this.#failures = 0;
  }

  /** A runner and all that belonged to it is gone. */
  removeRunner(outcome: RunnerOutcome, now: number): void {
    const known = this.#runners.get(outcome.runner);
    if (known === undefined) return;
    this.#runners.delete(outcome.runner);
    if (known.job === undefined && known.run !== undefined) this.#unattributedRuns.set(outcome.runner, known.run);
    if (outcome.ranJob) {
      this.#failures = 0;
      this.#notBefore = 0;
    } else if (outcome.failed && now >= this.#notBefore) {
      // A group whose runners fail is tried ever more slowly; a wave of failures counts once.
      this.#failures += 1;
      this.#notBefore = now + Math.min(BACKOFF_FIRST_MS * 2 ** (this.#failures - 1), BACKOFF_MOST_MS);
    }
  }

  /** These runners have been started. */
  addRunners(runners: readonly string[], now: number): void {
    for (const runner of runners) this.#runners.set(runner, { since: now, busy: false });
  }

  /** How many runners to start now: for the waiting jobs plus `min` idle ones, never more than `max` in all. */
  shortage(settings: GroupLimits, now: number): number {
    if (now < this.#notBefore) return 0;
    return this.#missing(settings, now);
  }

  /** When held-back starts may go on, milliseconds since the epoch; undefined where none are held back. */
  resumeAt(settings: GroupLimits, now: number): number | undefined {
    return now < this.#notBefore && this.#missing(settings, now) > 0 ? this.#notBefore : undefined;
  }

  /** Whether the group has more runners without a job than `min` asks for. */
  mayRetire(runner: string, settings: Pick<GroupSettings, 'min'>): boolean {
    const known = this.#runners.get(runner);
    if (known === undefined) return true;
    if (!known.busy && (known.stale || this.#count().ready > settings.min)) return true;
    known.asked = false;
    return false;
  }

  /** Runners by whether a job runs on them, and since when the oldest waiting job waits. */
  counts(now: number): { waiting: number; oldestSince: number | undefined; busy: number; ready: number } {
    const waiting = this.demand(now);
    const { busy, ready } = this.#count();
    return { waiting, oldestSince: waiting > 0 ? this.#waiting.oldest() : undefined, busy, ready };
  }

  /** Since when each of so many jobs waits for which no runner is on its way, oldest first; null for runners kept warm. */
  waitingSince(count: number): (number | null)[] {
    const { ready } = this.#count();
    const sinces = this.#waiting.sinces().slice(ready, ready + count);
    return Array.from({ length: count }, (_, index) => sinces[index] ?? null);
  }

  /** How many runners there are on that backend; `current` is the group's own. */
  runnersOn(backend: string, current: string): number {
    let count = 0;
    for (const runner of this.#runners.values()) if ((runner.backend ?? current) === backend) count += 1;
    return count;
  }

  get size(): number {
    return this.#runners.size;
  }

  /** The runners that exist were made by settings that hold no longer, on the backend that those named. */
  outdate(backend: string): void {
    for (const runner of this.#runners.values()) {
      runner.stale = true;
      runner.backend ??= backend;
    }
  }

  /**
   * Idle runners that the group needs no longer, each told once: what is above the limits, and what is kept warm but was made
   * by settings that hold no longer.
   */
  surplus(settings: GroupLimits, now: number): string[] {
    const { busy, ready } = this.#count();
    const demand = this.demand(now);
    const wanted = Math.max(0, Math.min(demand + settings.min, settings.max - busy));
    const idle = [...this.#runners].filter(([, runner]) => !runner.busy);
    const outdated = idle.filter(([, { stale }]) => stale).length;
    const count = Math.max(ready - wanted, Math.min(outdated, ready - demand));
    const asked = idle.filter(([, runner]) => runner.asked).length;
    const chosen = idle
      .filter(([, runner]) => !runner.asked)
      .sort(([, a], [, b]) => Number(b.stale ?? false) - Number(a.stale ?? false) || a.since - b.since)
      .slice(0, Math.max(0, count - asked));
    for (const [, runner] of chosen) runner.asked = true;
    return chosen.map(([name]) => name);
  }

  /** The first so many waiting jobs, to be served by another group; {@link DemandTracker.forget} them then. */
  toMove(most: number): MovedJob[] {
    // What is held back is queued again when it is let through, and then goes where it belongs.
    for (const job of this.#waiting.all()) if (job.held) this.#waiting.delete(job.key);
    return this.#waiting.toMove(most);
  }

  forget(jobs: readonly MovedJob[]): void {
    for (const { key } of jobs) this.#waiting.delete(key);
  }

  /** What is known of a job, by its id, whatever its attempt. */
  jobStatus(jobId: number): JobStatus {
    const mine = (key: string | undefined): boolean => key?.startsWith(`${jobId}:`) ?? false;
    for (const [runner, { job }] of this.#runners) {
      if (mine(job)) return { state: 'running', since: null, position: null, runner, needs: null };
    }
    for (const job of this.#waiting.all()) {
      if (!mine(job.key)) continue;
      const since = new Date(job.since).toISOString();
      const { needs } = job;
      if (job.held) return { state: 'held', since, position: null, runner: null, needs };
      const position = this.#waiting.sinces().filter((other) => other < job.since).length + 1;
      return { state: 'waiting', since, position, runner: null, needs };
    }
    const finished = [...this.#closed].some(mine);
    return { state: finished ? 'finished' : 'unknown', since: null, position: null, runner: null, needs: null };
  }

  /** Jobs that wait for a runner. */
  demand(now: number): number {
    const runs = new Map<string, number>();
    for (const job of this.#waiting.all()) {
      if (now - job.since > JOB_LIFETIME_MS) this.#close(job.key);
      else if (!job.held) runs.set(job.run, (runs.get(job.run) ?? 0) + 1);
    }
    // A hook tells the run, not which of its jobs: until the forge says which, it stands against any one of that run.
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
  roster(): Roster {
    return {
      slots: Array.from(this.#runners, ([runner, { since, busy }]) => ({ runner, since, busy })),
      waiting: Array.from(this.#waiting.all(), ({ key, jobId, needs, since }) => {
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

  #missing(settings: GroupLimits, now: number): number {
    const wanted = this.demand(now) + settings.min - this.#count().ready;
    return Math.max(0, Math.min(wanted, settings.max - this.#runners.size));
  }

  #count(): { busy: number; ready: number } {
    let busy = 0;
    for (const runner of this.#runners.values()) if (runner.busy) busy += 1;
    return { busy, ready: this.#runners.size - busy };
  }

  #attribute(runner: string, notice: JobNotice): void {
    this.#unattributedRuns.delete(runner);
    const known = this.#runners.get(runner);
    if (known === undefined) return;
    known.busy = true;
    known.job = notice.key;
    this.#failures = 0;
  }

  #close(key: string): void {
    this.#waiting.delete(key);
    this.#closed.add(key);
    if (this.#closed.size <= CLOSED_LIMIT) return;
    const [oldest] = this.#closed;
    if (oldest !== undefined) this.#closed.delete(oldest);
  }
}

/** One fewer of that run; false where there was none. */
function decrement(runs: Map<string, number>, run: string): boolean {
  const count = runs.get(run) ?? 0;
  if (count > 0) runs.set(run, count - 1);
  return count > 0;
}
