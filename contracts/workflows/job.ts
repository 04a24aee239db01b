import type { JobAction } from '../messages/job-event.ts';

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
}

/** A waiting job of a removed group, for the group that serves it now. */
export interface MovedJob extends JobNeeds {
  key: string;
  jobId: number;
  runId: number;
  runAttempt: number;
  /** When it began to wait, ISO 8601. */
  since: string;
}
