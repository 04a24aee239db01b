import type { EventLog } from './event-log.ts';
import type { Random } from './random.ts';
import type { RateLimiter } from './limits/rate-limiter.ts';
import type { Limits, Timing } from './settings.ts';
import type { GithubApp, Job, State } from './state.ts';
import type { WebhookSender } from './webhooks/sender.ts';

export interface Urls {
  /** Address for browsers and REST clients: `http://host:port`. */
  web: string;
  /** `web` + `/api/v3`, as on a GitHub Enterprise Server. */
  api: string;
  /** Address for runners. */
  runner: string;
}

/** All parts of one simulator; its functions take it as their first argument. */
export interface Simulation {
  urls: Urls;
  state: State;
  log: EventLog;
  random: Random;
  timing: Timing;
  limits: Limits;
  limiter: RateLimiter;
  /** By id. */
  apps: Map<number, GithubApp>;
  tokens: Set<string>;
  webhooks: WebhookSender;
  /** The next id of that kind. */
  nextId(kind: IdKind): number;
  /** Whether waiting jobs will be assigned at the end of this turn of the event loop. */
  assignmentDue: boolean;
  /** Jobs with these environments wait for an approval. */
  protectedEnvironments: Set<string>;
}

/** The first id of each kind. They are as large as GitHub's own, some above 32 bits. */
export const FIRST_IDS = {
  account: 9_919,
  repository: 1_296_269,
  runner: 1,
  group: 2,
  run: 16_011_100_000,
  job: 45_200_000_000,
  workflow: 161_335,
  hook: 109_948_940,
  delivery: 12_345_678,
} as const;

export type IdKind = keyof typeof FIRST_IDS;

/** Records what happened to a job, in its timeline and in the log. */
export function recordJob(
  sim: Simulation,
  job: Job,
  what: 'waiting' | 'queued' | 'assigned' | 'requeued' | 'started' | 'cancelling' | 'lost' | 'abandoned' | 'completed',
  fields: { runner?: string | undefined; detail?: string | undefined } = {},
): void {
  const detail = fields.detail ?? fields.runner;
  job.timeline.push({ at: new Date().toISOString(), what, detail });
  job.run.updatedAt = Date.now();
  sim.log.add(`job.${what}`, {
    jobId: job.id,
    runId: job.run.id,
    attempt: job.attempt,
    name: job.spec.name,
    conclusion: job.conclusion,
    ...fields,
  });
}
