import { z } from 'zod';
import { GROUP_MODES } from './control.ts';
import { PHASES } from '../workflows/phase.ts';

export const runnerStatus = z.object({
  name: z.string(),
  group: z.string(),
  backend: z.string(),
  phase: z.enum(PHASES),
  repository: z.string().nullable(),
  workflow: z.string().nullable(),
  /** The job's name, as the forge shows it. */
  job: z.string().nullable(),
  jobId: z.string().nullable(),
  /** Where the forge shows it. */
  jobUrl: z.string().nullable(),
  /** What its job used, where its group records that; one clause for people to read. */
  resources: z.string().nullable(),
  startedAt: z.string(),
  closedAt: z.string().nullable(),
});

/** Waiting jobs that idle runners passed over, and when the first of them counts again. */
export const passedOver = z.object({ jobs: z.number(), nextTryAt: z.string() });

/** Why starts of a group are held back, how many, and until when the next ones are. */
export const groupPace = z.object({
  heldBack: z.number(),
  until: z.string(),
  perMinute: z.number().nullable(),
  reason: z.string(),
});

export const groupStatus = z.object({
  name: z.string(),
  backend: z.string(),
  labels: z.array(z.string()),
  min: z.number(),
  max: z.number(),
  /** Jobs that wait for a runner, and since when the oldest does. */
  waiting: z.number(),
  oldestWaitingSince: z.string().nullable(),
  /** Set while the forge gives waiting jobs to none of the group's idle runners: these are tried ever more slowly. */
  passedOver: passedOver.nullable(),
  busy: z.number(),
  /** Runners that are not busy: starting, or idle. */
  ready: z.number(),
  /** Runners that serve no job any more, and whose instances are not gone yet. */
  leaving: z.number().default(0),
  /** Registrations that the forge has not let go of although their instances are gone: they count as no runner. */
  lingering: z.number().default(0),
  /** Set while starts are paused after failures. */
  backoffUntil: z.string().nullable(),
  /** Set while starts are held back because the forge does not let the runners register soon. */
  pace: groupPace.nullable(),
  /** A paused group starts no runners; a draining one also retires its idle ones. */
  mode: z.enum(GROUP_MODES),
  /** No longer in the configuration: it drains, then disappears. */
  removed: z.boolean(),
  /** Runners that wait for a slot on a capped backend. */
  wantedSlots: z.number(),
});

/** A job or message that can never be handled. */
export const deadLetter = z.object({ at: z.string(), code: z.string(), reason: z.string() });

/** The calls to the forge of one priority. */
export const forgeCalls = z.object({
  priority: z.enum(['registration', 'removal', 'background']),
  /** In the queues of all orchestrators, and how long the first of them has waited. */
  waiting: z.number(),
  longestWaitMs: z.number(),
  /** Calls of the answering orchestrator that have no answer yet. */
  inFlight: z.number(),
  /** In the last minute, by all orchestrators. */
  pointsUsed: z.number(),
});

/** The rate limit of an App or the token, and its calls. */
export const forgeLimit = z.object({
  name: z.string(),
  /** How many calls of all orchestrators wait for their turn. */
  waiting: z.number(),
  /** The forge's primary limit, where the forge has reported it. */
  limit: z.number().nullable(),
  remaining: z.number().nullable(),
  resetAt: z.string().nullable(),
  /** Until then, no calls are sent. */
  blockedUntil: z.string().nullable(),
  /** Why not, one clause for people to read. */
  blockedBy: z.string().nullable().default(null),
  /** The limit that Baton keeps itself; null: none. */
  pointsPerMinute: z.number().nullable().default(null),
  /** The bound on calls at once in each orchestrator. */
  maxInFlight: z.number().default(0),
  calls: z.array(forgeCalls).default([]),
});

/** The answer on `status`: all groups, runners and limits. */
export const status = z.object({
  version: z.literal(1),
  installation: z.string(),
  at: z.string(),
  temporalUi: z.string().nullable(),
  namespace: z.string(),
  /** Where the answering orchestrator's configuration file is older than the newest: which file, and what follows. */
  olderFile: z.string().nullable().default(null),
  groups: z.array(groupStatus),
  runners: z.array(runnerStatus),
  /** How many jobs and messages no group can serve, and the newest of them, newest first. */
  deadLetters: z.number(),
  unserved: z.array(deadLetter),
  forge: z.array(forgeLimit).default([]),
});

export type ForgeCalls = z.infer<typeof forgeCalls>;
export type ForgeLimit = z.infer<typeof forgeLimit>;
export type RunnerStatus = z.infer<typeof runnerStatus>;
export type GroupStatus = z.infer<typeof groupStatus>;
export type DeadLetter = z.infer<typeof deadLetter>;
export type Status = z.infer<typeof status>;
