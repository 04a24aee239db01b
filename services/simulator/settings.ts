import { z } from 'zod';
import type { WebhookPoster } from './webhooks/post.ts';

const ms = z.number().int().nonnegative();
const count = z.number().int().nonnegative();

/** Times, all in milliseconds. */
export const timing = z.strictObject({
  /** An assigned job that its runner hasn't started after this time is queued again. */
  pickupMs: ms,
  /** A job that was queued for this time fails. */
  queueMs: ms,
  /** A job whose runner made no request for this time fails: "lost communication". */
  lostMs: ms,
  /** A runner without a connection for this time is offline; until then it may get jobs. */
  offlineAfterMs: ms,
  /** `busy` in REST (also for DELETE) becomes true this time after the job started. */
  busyLagMs: ms,
  /** A job whose runner doesn't confirm a cancellation within this time is cancelled without it. */
  cancelMs: ms,
  /** The time between SIGINT and SIGTERM to a cancelled step; SIGKILL comes after another third of it. */
  cancelGraceMs: ms,
  /** The registration of an ephemeral runner that hasn't been connected for this time is removed. */
  registrationMs: ms,
  /** The same for other runners. */
  idleRegistrationMs: ms,
  /** An idle runner's program stays up for this time after its registration was removed, without ever getting a job. */
  outliveMs: ms,
  /** A webhook without an answer within this time has failed. */
  webhookTimeoutMs: ms,
  /** The interval at which the times above are checked. Read once, at the start. */
  sweepMs: ms.min(1),
  /** How long a runner's request for a job is held open. */
  pollMs: ms,
  /** How long GitHub needs to answer a REST call. */
  apiMs: ms,
});

export const secondaryForm = z.enum(['any', '429', '403', '403-no-header', '403-abuse']);

export const limits = z.strictObject({
  /** Requests per window and token or installation; an answer of 304 is free. */
  primary: count,
  /** Registrations per window and token or installation: `actions_runner_registration`. */
  registrationsPerHour: count,
  primaryWindowMs: ms,
  /** The status above these two limits: GitHub uses either. */
  primaryStatus: z.union([z.literal('any'), z.literal(403), z.literal(429)]),
  /** Points within any window of that length, per token or installation (a read costs 1, a change 5); 0 for no limit. */
  secondaryPoints: count,
  secondaryWindowMs: ms,
  /** Calls at once per token or installation; 0 for no limit. */
  concurrentCalls: count,
  /** How long a token or installation is refused that exceeded one of these two limits, and `retry-after`. */
  retryAfterSeconds: z.number().int().positive(),
  /** Each call during that time makes it so much longer, but for the calls of the first five seconds. */
  extendSeconds: count,
  /** It never becomes longer than this. */
  maxBlockSeconds: count,
  /** The form of the answer: 429 or 403 with `retry-after`; 403 without it; 403 with the older text; any of them by chance. */
  secondaryForm,
  /** Registrations within any window of that length, per organisation or repository, over all Apps; 0 for no limit. */
  registrations: count,
  registrationWindowMs: ms,
  /** Registrations of a runner group; 0 for no limit. */
  runnersPerGroup: count,
  /** Number of webhooks that are sent concurrently. */
  webhookConcurrency: z.number().int().positive(),
  /** Number of webhooks per second; 0 for no limit. */
  webhooksPerSecond: z.number().nonnegative(),
});

export type SecondaryForm = z.infer<typeof secondaryForm>;
export type Timing = z.infer<typeof timing>;
export type Limits = z.infer<typeof limits>;

/** GitHub's own times, as far as they are known. REST calls are answered at once, though. */
export const GITHUB_TIMING: Readonly<Timing> = {
  pickupMs: 60_000,
  queueMs: 24 * 3_600_000,
  lostMs: 600_000,
  offlineAfterMs: 5_000,
  busyLagMs: 30_000,
  cancelMs: 300_000,
  cancelGraceMs: 7_500,
  registrationMs: 24 * 3_600_000,
  idleRegistrationMs: 14 * 24 * 3_600_000,
  outliveMs: 14 * 24 * 3_600_000,
  webhookTimeoutMs: 10_000,
  sweepMs: 100,
  pollMs: 25_000,
  apiMs: 0,
};

/** GitHub's own limits of an installation in an organisation with GitHub Enterprise Cloud. */
export const DEFAULT_LIMITS: Readonly<Limits> = {
  primary: 15_000,
  registrationsPerHour: 10_000,
  primaryWindowMs: 3_600_000,
  primaryStatus: 'any',
  secondaryPoints: 900,
  secondaryWindowMs: 60_000,
  concurrentCalls: 100,
  retryAfterSeconds: 60,
  extendSeconds: 2,
  maxBlockSeconds: 900,
  secondaryForm: 'any',
  registrations: 1_500,
  registrationWindowMs: 300_000,
  runnersPerGroup: 10_000,
  webhookConcurrency: 20,
  webhooksPerSecond: 0,
};

export type HookKind = 'app' | 'organization' | 'repository';

export interface SimulatorOptions {
  /** Default 127.0.0.1. */
  host?: string | undefined;
  /** Default 0: a free port. */
  port?: number | undefined;
  /** The address at which runners reach the simulator, for JIT configs. Default: where it listens. */
  publicUrl?: string | undefined;
  /** Seed of all random choices. Default 1. */
  seed?: number | undefined;
  /** `owner/name`; each owner becomes an organisation. Default octo-org/demo. */
  repositories?: string[] | undefined;
  /** Accepted personal access tokens. Default `ghp_simulator`. */
  tokens?: string[] | undefined;
  /** A GitHub App, installed in every organisation (installation ids count up from `installation`). */
  app?: AppOptions | undefined;
  /** More GitHub Apps, each with its own installations, tokens and limits. */
  apps?: AppOptions[] | undefined;
  /** The receiver of webhooks. A webhook of kind `app` is that of the first App; default app where there is one, else organization. */
  webhook?: { url: string; secret: string; kind?: HookKind | undefined } | undefined;
  /** Changes to {@link GITHUB_TIMING}. */
  timing?: Partial<Timing> | undefined;
  /** Changes to {@link DEFAULT_LIMITS}. */
  limits?: Partial<Limits> | undefined;
  /** Sends the webhooks. Default: this process does. */
  poster?: WebhookPoster | undefined;
}

export interface AppOptions {
  id: number;
  /** PEM (SPKI) of the key that signs the App's tokens. */
  publicKey: string;
  /** Id of the first organisation's installation. Default 1; for the second App 1001, and so on. */
  installation?: number | undefined;
  /** Permissions of the App. Default: those that Baton needs. */
  permissions?: Record<string, 'read' | 'write'> | undefined;
}
