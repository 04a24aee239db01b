import type { JobNeeds, JobNotice, MovedJob } from '../../contracts/workflows/job.ts';

/** A job that waits for a runner. */
export interface WaitingJob {
  key: string;
  jobId: number;
  run: string;
  since: number;
  /** Deliveries that said `queued`. */
  queued: string[];
  /** Behind an environment's protection: no demand yet. */
  held: boolean;
  needs: JobNeeds;
}

/** {@link Waiting} as JSON: what many jobs ask for alike stands in it once. */
export interface WaitingState {
  needs: JobNeeds[];
  jobs: (Omit<WaitingJob, 'needs'> & { needs: number })[];
}

/** The jobs that wait, by key. */
export class Waiting {
  readonly #jobs = new Map<string, WaitingJob>();
  readonly #needs = new Map<string, JobNeeds>();

  constructor(state?: WaitingState) {
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

  all(): IterableIterator<WaitingJob> {
    return this.#jobs.values();
  }

  /** Enters a job that nobody had spoken of; it waits since the forge's word came in, which may be a while ago. */
  enter(notice: JobNotice, now: number): WaitingJob {
    const { key, jobId, repository, private: isPrivate, labels, workflow } = notice;
    const said = Date.parse(notice.at);
    const job: WaitingJob = {
      key,
      jobId,
      run: runKey(notice.runId, notice.runAttempt),
      since: said < now ? said : now,
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

  /** Since when each of the jobs that ask for a runner waits, oldest first. */
  sinces(): number[] {
    const sinces: number[] = [];
    for (const job of this.#jobs.values()) if (!job.held) sinces.push(job.since);
    return sinces.sort((a, b) => a - b);
  }

  oldest(): number | undefined {
    let oldest: number | undefined;
    for (const { held, since } of this.#jobs.values()) {
      if (!held && (oldest === undefined || since < oldest)) oldest = since;
    }
    return oldest;
  }

  /** The first so many, for another group. */
  toMove(most: number): MovedJob[] {
    const moved: MovedJob[] = [];
    for (const { key, jobId, run, since, needs } of this.#jobs.values()) {
      if (moved.length === most) break;
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

  toState(): WaitingState {
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

export function runKey(runId: number, attempt: number): string {
  return `${runId}/${attempt}`;
}
