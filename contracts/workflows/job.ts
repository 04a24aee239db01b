import type { JobAction } from '../messages/job-event.ts';

/**
 * The longest time that the forge lets a job wait for a runner since it was queued last. GitHub cancels a job that was queued for 24 h,
 * and says that it may take 48 h to do so. What seems to wait for longer only looks like it.
 *
 * @see https://docs.github.com/en/actions/reference/usage-limits-for-self-hosted-runners
 */
export const MAX_QUEUED_MS = 48 * 3_600_000;
/** The longest time that an environment's protection rules hold a job: 30 days on GitHub, and one more to be sure. */
export const MAX_HELD_MS = 31 * 24 * 3_600_000;

/** What a job asks for: all that decides which group serves it. */
export interface JobNeeds {
  /** `owner/name` */
  repository: string;
  private: boolean;
  labels: readonly string[];
  /** The workflow's name; null where it is not known. */
  workflow: string | null;
}

/** What the forge reported about a job, as the workflows receive it. */
export interface JobNotice extends JobNeeds {
  /** Job id and attempt: `123:1`. */
  key: string;
  /** The id of the delivery: a repeated delivery counts once. */
  delivery: string;
  action: JobAction;
  jobId: number;
  runId: number;
  runAttempt: number;
  name: string;
  url: string | null;
  conclusion: string | null;
  runnerName: string | null;
  /** When ingress received it, ISO 8601. */
  at: string;
  /** Ids of deliveries about it that another group applied before the job moved. */
  applied?: readonly string[];
}

/** A waiting job of a removed group, for the group that serves it now. */
export interface MovedJob extends JobNeeds {
  key: string;
  jobId: number;
  runId: number;
  runAttempt: number;
  /** When it began to wait, ISO 8601. */
  since: string;
  /** Ids of the deliveries about it that were applied. */
  applied: readonly string[];
}

/** The key of a run's attempt, which has one or more jobs. */
export function toRunKey(runId: number, attempt: number): string {
  return `${runId}/${attempt}`;
}
