import { z } from 'zod';
import { PHASES } from '../runner/phase.ts';

export const runnerStatus = z.object({
  name: z.string(),
  group: z.string(),
  backend: z.string(),
  phase: z.enum(PHASES),
  repository: z.string().nullable(),
  jobId: z.string().nullable(),
  /** What its job used, where its group records it: one clause for a person. */
  resources: z.string().nullable(),
  startedAt: z.string(),
  closedAt: z.string().nullable(),
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
  busy: z.number(),
  /** Runners that are not busy: on their way, or idle. */
  ready: z.number(),
  /** Set while starts are held back after failures. */
  backoffUntil: z.string().nullable(),
});

/** The answer on `status`: what is going on, as one page. */
export const status = z.object({
  version: z.literal(1),
  manager: z.string(),
  at: z.string(),
  temporalUi: z.string().nullable(),
  namespace: z.string(),
  groups: z.array(groupStatus),
  runners: z.array(runnerStatus),
  /** Jobs and messages that no group can serve, newest first. */
  deadLetters: z.number(),
});

export type RunnerStatus = z.infer<typeof runnerStatus>;
export type GroupStatus = z.infer<typeof groupStatus>;
export type Status = z.infer<typeof status>;
