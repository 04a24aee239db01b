import { z } from 'zod';

const ms = z.number().int().nonnegative();

/** How long things take; all in milliseconds. */
export const timing = z.strictObject({
  /** An assigned job that its runner hasn't begun by then is queued again. */
  pickupMs: ms,
  /** A job queued for that long fails. */
  queueMs: ms,
  /** A job whose runner hasn't been heard of for that long fails: "lost communication". */
  lostMs: ms,
  /** A runner without a connection for that long is offline; until then jobs may still be handed to it. */
  offlineAfterMs: ms,
  /** `busy` in REST (and DELETE's view of it) turns true that long after the job began. */
  busyLagMs: ms,
  /** A job whose runner doesn't confirm a cancellation by then is cancelled without it. */
  cancelMs: ms,
  /** Between a runner's SIGINT to a cancelled step and its SIGTERM; a third of it later comes SIGKILL. */
  cancelGraceMs: ms,
  /** A just-in-time registration that never connected is dropped after that. */
  registrationMs: ms,
  /** A webhook without an answer by then has failed. */
  webhookTimeoutMs: ms,
  /** How often the times above are looked at. Read once, at the start. */
  sweepMs: ms.min(1),
  /** How long a runner's question for a job is held open. */
  pollMs: ms,
});

export const limits = z.strictObject({
  /** Requests per window and token or installation. */
  primary: z.number().int().nonnegative(),
  primaryWindowMs: ms,
  /** Points per minute (a read costs 1, a mutation 5); 0 for no secondary limit. GitHub's is 900. */
  secondaryPoints: z.number().int().nonnegative(),
  secondaryWindowMs: ms,
  /** What a secondary limit says in `retry-after`. */
  retryAfterSeconds: z.number().int().positive(),
  /** What both limits answer: GitHub uses either. */
  status: z.union([z.literal(403), z.literal(429)]),
  /** Webhooks in flight at once. */
  webhookConcurrency: z.number().int().positive(),
  /** Webhooks begun per second; 0 for as fast as it goes. */
  webhooksPerSecond: z.number().nonnegative(),
});

export type Timing = z.infer<typeof timing>;
export type Limits = z.infer<typeof limits>;

/** GitHub's own, as far as they are known. */
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

/** GitHub's for an App, but without its secondary limit. */
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
  /** Default 0: a free one. */
  port?: number | undefined;
  /** The simulator's address as runners reach it: goes into JIT configs. Default: where it listens. */
  publicUrl?: string | undefined;
  /** Of all chance in it. Default 1. */
  seed?: number | undefined;
  /** `owner/name`; each owner becomes an organisation. Default octo-org/demo. */
  repositories?: string[] | undefined;
  /** Personal access tokens that are good. Default `ghp_simulator`. */
  tokens?: string[] | undefined;
  /** A GitHub App, installed in every organisation (installation ids count up from `installation`). */
  app?: AppOptions | undefined;
  /** Where webhooks go. One of kind `app` needs {@link SimulatorOptions.app}; default app where there is one, else organization. */
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
  /** What the App may do. Default: what a runner manager needs. */
  permissions?: Record<string, 'read' | 'write'> | undefined;
}
