import type { JobStatus } from '../../contracts/workflows/dispatcher.ts';
import { toRunKey, type JobNeeds, type JobNotice, type MovedJob } from '../../contracts/workflows/job.ts';
import { applyHeld, applyPassedOver, applyQueued, isDue, isTooOld, isWaiting, type WaitingJob } from './waiting-job.ts';

/** Jobs that are too old to be demand are remembered, so that a repeated old delivery does not make them new: so many of them. */
const MAX_TOO_OLD = 1000;
/** So long after the end of their time. */
const TOO_OLD_MEMORY_MS = 7 * 24 * 3_600_000;
const TIDY_INTERVAL_MS = 3_600_000;

/** {@link WaitingJobs} as JSON. Needs that many jobs share are stored once. */
export interface WaitingJobsState {
  needs: JobNeeds[];
  jobs: (Omit<WaitingJob, 'needs'> & { needs: number })[];
}

/** How many jobs of one run wait, and how many of them need a runner now. */
export interface RunDemand {
  due: number;
  waiting: number;
}

/** The jobs that wait, by key; also those that an environment holds, and those that are too old to be demand. */
export class WaitingJobs {
  readonly #jobs = new Map<string, WaitingJob>();
  #tidyAt = 0;
  readonly #needs = new Map<string, JobNeeds>();

  constructor(state?: WaitingJobsState) {
    for (const job of state?.jobs ?? []) {
      const needs = state?.needs[job.needs];
      if (needs !== undefined) this.#jobs.set(job.key, { ...job, needs: this.#shared(needs) });
    }
  }

  values(): IterableIterator<WaitingJob> {
    return this.#jobs.values();
  }

  /** Applies that the forge queued a job, or that an environment holds it. The event may have arrived a while ago. */
  apply(notice: JobNotice & { action: 'queued' | 'waiting' }, now: number): void {
    const receivedAt = Date.parse(notice.at);
    const at = receivedAt < now ? receivedAt : now;
    const job = this.#jobs.get(notice.key) ?? this.#add(notice, at);
    for (const delivery of notice.applied ?? []) if (!job.deliveries.includes(delivery)) job.deliveries.push(delivery);
    if (notice.action === 'queued') applyQueued(job, notice.delivery, at);
    else applyHeld(job, notice.delivery, at);
  }

  /** Applies that a runner that existed since that time, and was idle, got no job: it was there for all jobs that waited all the while. */
  applyPassedOver(runnerSince: number, now: number): void {
    for (const job of this.#jobs.values()) applyPassedOver(job, runnerSince, now);
  }

  /** Lets all jobs that runners passed over count again now. */
  retry(now: number): void {
    for (const job of this.#jobs.values()) job.notBefore = Math.min(job.notBefore, now);
  }

  delete(key: string): WaitingJob | undefined {
    const job = this.#jobs.get(key);
    this.#jobs.delete(key);
    return job;
  }

  /** Forgets jobs that were too old for demand long ago. @returns their keys */
  tidy(now: number): string[] {
    if (now < this.#tidyAt) return [];
    this.#tidyAt = now + TIDY_INTERVAL_MS;
    const old = [...this.#jobs.values()].filter((job) => isTooOld(job, now)).sort((a, b) => a.since - b.since);
    const keys = old
      .filter((job, index) => index < old.length - MAX_TOO_OLD || isTooOld(job, now - TOO_OLD_MEMORY_MS))
      .map(({ key }) => key);
    for (const key of keys) this.#jobs.delete(key);
    return keys;
  }

  /** How many jobs of each run wait. */
  countByRun(now: number): Map<string, RunDemand> {
    const runs = new Map<string, RunDemand>();
    for (const job of this.#jobs.values()) {
      if (!isWaiting(job, now)) continue;
      const run = runs.get(job.run) ?? { due: 0, waiting: 0 };
      run.waiting += 1;
      if (isDue(job, now)) run.due += 1;
      runs.set(job.run, run);
    }
    return runs;
  }

  /** Since when each job waits that needs a runner now, oldest first. */
  listDueSince(now: number): number[] {
    const times: number[] = [];
    for (const job of this.#jobs.values()) if (isDue(job, now)) times.push(job.since);
    return times.sort((a, b) => a - b);
  }

  findOldestSince(now: number): number | undefined {
    let oldest: number | undefined;
    for (const job of this.#jobs.values()) {
      if (isWaiting(job, now) && (oldest === undefined || job.since < oldest)) oldest = job.since;
    }
    return oldest;
  }

  /** The jobs that runners passed over and that are no demand for now, and when the first of them is tried again. */
  countPassedOver(now: number): { jobs: number; nextAt: number | undefined } {
    let jobs = 0;
    let nextAt: number | undefined;
    for (const job of this.#jobs.values()) {
      if (!isWaiting(job, now) || isDue(job, now)) continue;
      jobs += 1;
      nextAt = Math.min(nextAt ?? job.notBefore, job.notBefore);
    }
    return { jobs, nextAt };
  }

  /** What is known of the first job with such a key. */
  findStatus(isMatch: (key: string) => boolean, now: number): JobStatus | undefined {
    for (const job of this.#jobs.values()) if (isMatch(job.key)) return this.#toStatus(job, now);
    return undefined;
  }

  /** The first `max` jobs, for another group. */
  listForMove(max: number): MovedJob[] {
    const moved: MovedJob[] = [];
    for (const { key, jobId, run, since, deliveries, needs } of this.#jobs.values()) {
      if (moved.length === max) break;
      const [runId, runAttempt] = run.split('/').map(Number);
      moved.push({
        ...needs,
        key,
        jobId,
        runId: runId ?? 0,
        runAttempt: runAttempt ?? 1,
        since: new Date(since).toISOString(),
        applied: deliveries,
      });
    }
    return moved;
  }

  toState(): WaitingJobsState {
    const index = new Map<JobNeeds, number>();
    const jobs = [...this.#jobs.values()].map((job) => {
      const at = index.get(job.needs) ?? index.size;
      index.set(job.needs, at);
      return { ...job, needs: at };
    });
    return { needs: [...index.keys()], jobs };
  }

  #add(notice: JobNotice, since: number): WaitingJob {
    const { key, jobId, repository, private: isPrivate, labels, workflow } = notice;
    const job: WaitingJob = {
      key,
      jobId,
      run: toRunKey(notice.runId, notice.runAttempt),
      since,
      deliveries: [],
      queued: 0,
      held: false,
      passedOver: 0,
      notBefore: since,
      needs: this.#shared({ repository, private: isPrivate, labels, workflow }),
    };
    this.#jobs.set(key, job);
    return job;
  }

  #toStatus(job: WaitingJob, now: number): JobStatus {
    const { needs, passedOver } = job;
    const since = new Date(job.since).toISOString();
    const known = { since, position: null, runner: null, passedOver, nextTryAt: null, needs };
    if (isTooOld(job, now)) return { ...known, state: 'too-old' };
    if (job.held) return { ...known, state: 'held' };
    if (!isDue(job, now)) return { ...known, state: 'passed-over', nextTryAt: new Date(job.notBefore).toISOString() };
    const position = this.listDueSince(now).filter((other) => other < job.since).length + 1;
    return { ...known, state: 'waiting', position };
  }

  #shared(needs: JobNeeds): JobNeeds {
    const text = JSON.stringify([needs.repository, needs.private, needs.labels, needs.workflow]);
    const known = this.#needs.get(text) ?? needs;
    this.#needs.set(text, known);
    return known;
  }
}

/** Counts one job less for that run; false where none of it waits. Which one a runner has is not known: one that is due, if any. */
export function decrement(runs: Map<string, RunDemand>, run: string): boolean {
  const count = runs.get(run);
  if (count === undefined || count.waiting === 0) return false;
  count.waiting -= 1;
  count.due = Math.max(0, count.due - 1);
  return true;
}
