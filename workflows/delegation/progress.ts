import type { JobNotice } from '../../contracts/workflows/job.ts';
import type { RunJob } from '../../contracts/ports/run-control.ts';

/**
 * The stage of a delegated job:
 * - `held`: on a proxy, whose hook is about to fail it
 * - `handed-back`: that attempt failed as intended; the job waits for its re-run
 * - `waiting`: the re-run waits for a runner
 * - `running`: on a runner that is no proxy
 * - `finished`: it ran there, or it was cancelled
 */
export type Stage = 'held' | 'handed-back' | 'waiting' | 'running' | 'finished';

const RANKS = new Map([
  ['queued', 0],
  ['waiting', 0],
  ['pending', 0],
  ['requested', 0],
  ['in_progress', 1],
  ['completed', 2],
]);

/** What is known of the job on the forge, from webhooks and from queries. An older state never replaces a newer one. */
export class DelegationProgress {
  readonly #proxies: ReadonlySet<string>;
  #job: RunJob | undefined;

  /** @param known what an earlier run of the workflow knew */
  constructor(proxies: readonly string[], known?: RunJob) {
    this.#proxies = new Set(proxies);
    this.#job = known;
  }

  get job(): RunJob | undefined {
    return this.#job;
  }

  /** Applies the forge's answer to a query. */
  applyJob(job: RunJob): void {
    if (this.#job !== undefined && !isNewer(job, this.#job)) return;
    this.#job = job;
  }

  /** Applies a webhook, which has no labels. */
  applyNotice(notice: JobNotice): void {
    const { jobId: id, runId, runAttempt: attempt, name, conclusion, runnerName, url } = notice;
    const status = notice.action === 'waiting' ? 'queued' : notice.action;
    this.applyJob({ id, runId, attempt, name, status, conclusion, runnerName, url, labels: this.#job?.labels ?? [] });
  }

  getStage(): Stage {
    const job = this.#job;
    if (job === undefined) return 'held';
    const onProxy = job.runnerName !== null && this.#proxies.has(job.runnerName);
    if (job.status === 'completed') return onProxy && job.conclusion === 'failure' ? 'handed-back' : 'finished';
    if (job.status !== 'in_progress') return 'waiting';
    return onProxy ? 'held' : 'running';
  }

  /** Whether it ended on a runner that is no proxy. */
  ranElsewhere(): boolean {
    const runner = this.#job?.runnerName ?? null;
    return runner !== null && !this.#proxies.has(runner);
  }
}

function isNewer(job: RunJob, known: RunJob): boolean {
  if (job.attempt !== known.attempt) return job.attempt > known.attempt;
  const [rank, knownRank] = [RANKS.get(job.status) ?? 0, RANKS.get(known.status) ?? 0];
  // A re-run is known before the forge has given it its own id.
  return rank > knownRank || (rank === knownRank && job.id > known.id);
}
