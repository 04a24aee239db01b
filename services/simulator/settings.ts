import { z } from 'zod';

const ms = z.number().int().nonnegative();

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
  /** A just-in-time registration whose runner never connected is removed after this time. */
  registrationMs: ms,
  /** A webhook without an answer within this time has failed. */
  webhookTimeoutMs: ms,
  /** The interval at which the times above are checked. Read once, at the start. */
  sweepMs: ms.min(1),
  /** How long a runner's request for a job is held open. */
  pollMs: ms,
});

export const limits = z.strictObject({
  /** Requests per window and token or installation. */
  primary: z.number().int().nonnegative(),
  primaryWindowMs: ms,
  /** Points per minute (a read costs 1, a mutation 5); 0 for no secondary limit. GitHub's is 900. */
  secondaryPoints: z.number().int().nonnegative(),
  secondaryWindowMs: ms,
  /** `retry-after` of a secondary limit. */
  retryAfterSeconds: z.number().int().positive(),
  /** The status of both limits: GitHub uses either. */
  status: z.union([z.literal(403), z.literal(429)]),
  /** Number of webhooks that are sent concurrently. */
  webhookConcurrency: z.number().int().positive(),
  /** Number of webhooks per second; 0 for no limit. */
  webhooksPerSecond: z.number().nonnegative(),
});

export type Timing = z.infer<typeof timing>;
export type Limits = z.infer<typeof limits>;

/** GitHub's own times, as far as they are known. */
export const GITHUB_TIMING: Readonly<Timing> = {
  pickupMs: 60_000,
  queueMs: 24 * 3_600_000,
  lostMs: 600_000,
  offlineAfterMs: 5_000,
  busyLagMs: 0,
  cancelMs: 300_000,
  cancelGraceMs: 7_500,
  registrationMs: 24 * 3_600_000,
  webhookTimeoutMs: 10_000,
  sweepMs: 100,
  pollMs: 25_000,
};

/** GitHub's own limits for an App, but without the secondary limit. */
export const DEFAULT_LIMITS: Readonly<Limits> = {
  primary: 15_000,
  primaryWindowMs: 3_600_000,
  secondaryPoints: 0,
  secondaryWindowMs: 60_000,
  retryAfterSeconds: 60,
  status: 403,
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
  /** The receiver of webhooks. A webhook of kind `app` needs {@link SimulatorOptions.app}; default app where there is one, else organization. */
  webhook?: { url: string; secret: string; kind?: HookKind | undefined } | undefined;
  /** Changes to {@link GITHUB_TIMING}. */
  timing?: Partial<Timing> | undefined;
  /** Changes to {@link DEFAULT_LIMITS}. */
  limits?: Partial<Limits> | undefined;
}

export interface AppOptions {
  id: number;
  /** PEM (SPKI) of the key that signs the App's tokens. */
  publicKey: string;
  /** Id of the first organisation's installation. Default 1. */
  installation?: number | undefined;
  /** Permissions of the App. Default: those that Baton needs. */
  permissions?: Record<string, 'read' | 'write'> | undefined;
}
