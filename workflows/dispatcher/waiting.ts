import type { JobNeeds, JobNotice, MovedJob } from '../../contracts/workflows/job.ts';

/** A job that waits for a runner. */
export interface WaitingJob {
  key: string;
  jobId: number;
  run: string;
  since: number;
  /** Ids of the deliveries with the action `queued`. */
  queued: string[];
  /** Held by an environment's protection rules: no demand yet. */
  held: boolean;
  needs: JobNeeds;
}

/** {@link WaitingJobs} as JSON. Needs that many jobs share are stored once. */
export interface WaitingJobsState {
  needs: JobNeeds[];
  jobs: (Omit<WaitingJob, 'needs'> & { needs: number })[];
}

/** The jobs that wait, by key. */
export class WaitingJobs {
  readonly #jobs = new Map<string, WaitingJob>();
  readonly #needs = new Map<string, JobNeeds>();

  constructor(state?: WaitingJobsState) {
    for (const job of state?.jobs ?? []) {
      const needs = state?.needs[job.needs];
      if (needs !== undefined) this.#jobs.set(job.key, { ...job, needs: this.#shared(needs) });
    }
  }

  get size(): number {
    return this.#jobs.size;
  }

  get(key: string): WaitingJob | undefined {
    return this.#jobs.get(key);
  }

  values(): IterableIterator<WaitingJob> {
    return this.#jobs.values();
  }

  /** Adds a new job; it waits since the forge's event arrived, which may be a while ago. */
  add(notice: JobNotice, now: number): WaitingJob {
    const { key, jobId, repository, private: isPrivate, labels, workflow } = notice;
    const receivedAt = Date.parse(notice.at);
    const job: WaitingJob = {
      key,
      jobId,
      run: toRunKey(notice.runId, notice.runAttempt),
      since: receivedAt < now ? receivedAt : now,
      queued: [],
      held: false,
      needs: this.#shared({ repository, private: isPrivate, labels, workflow }),
    };
    this.#jobs.set(key, job);
    return job;
  }

  delete(key: string): void {
    this.#jobs.delete(key);
  }

  /** Since when each job waits that is not held, oldest first. */
  listWaitingSince(): number[] {
    const times: number[] = [];
    for (const job of this.#jobs.values()) if (!job.held) times.push(job.since);
    return times.sort((a, b) => a - b);
  }

  findOldestSince(): number | undefined {
    let oldest: number | undefined;
    for (const { held, since } of this.#jobs.values()) {
      if (!held && (oldest === undefined || since < oldest)) oldest = since;
    }
    return oldest;
  }

  /** The first `max` jobs, for another group. */
  listForMove(max: number): MovedJob[] {
    const moved: MovedJob[] = [];
    for (const { key, jobId, run, since, needs } of this.#jobs.values()) {
      if (moved.length === max) break;
      const [runId, runAttempt] = run.split('/').map(Number);
      moved.push({
        ...needs,
        key,
        jobId,
        runId: runId ?? 0,
        runAttempt: runAttempt ?? 1,
        since: new Date(since).toISOString(),
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

  #shared(needs: JobNeeds): JobNeeds {
    const text = JSON.stringify([needs.repository, needs.private, needs.labels, needs.workflow]);
    const known = this.#needs.get(text) ?? needs;
    this.#needs.set(text, known);
    return known;
  }
}

export function toRunKey(runId: number, attempt: number): string {
  return `${runId}/${attempt}`;
}

/** Counts one job less for that run; false where there was none. */
export function decrement(runs: Map<string, number>, run: string): boolean {
  const count = runs.get(run) ?? 0;
  if (count > 0) runs.set(run, count - 1);
  return count > 0;
}
