import type { CallOptions, ForgeScope } from './forge.ts';

/** One job of a run, as the forge reports it. */
export interface RunJob {
  id: number;
  runId: number;
  attempt: number;
  name: string;
  status: string;
  conclusion: string | null;
  runnerName: string | null;
  url: string | null;
  labels: string[];
}

/** What delegations need from a forge. Every method throws BatonErrors FORGE_*; an error is never an answer. */
export interface RunControl {
  /** All jobs of that attempt of the run. */
  listAttemptJobs(repository: string, runId: number, attempt: number): Promise<RunJob[]>;

  /** Whether the run is completed, its newest attempt, and that attempt's jobs. */
  getLatestAttempt(
    repository: string,
    runId: number,
  ): Promise<{ isCompleted: boolean; attempt: number; jobs: RunJob[] }>;

  /**
   * Runs one job again, as a new attempt of its run. Not idempotent: look with {@link getLatestAttempt} first.
   *
   * @returns `busy` where the run is still running: a list that lags behind may call it completed
   */
  rerunJob(repository: string, jobId: number): Promise<'rerunning' | 'busy'>;

  /** Replaces all labels of a registered runner; false where none of that name is registered. */
  replaceRunnerLabels(
    scope: ForgeScope,
    runner: string,
    labels: readonly string[],
    options?: CallOptions,
  ): Promise<boolean>;
}
