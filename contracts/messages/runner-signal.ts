import { z } from 'zod';
import { jobResources } from './job-resources.ts';

const base = {
  version: z.literal(1),
  /** A UUID, also the message id: a repeated signal counts once. */
  id: z.string().min(1).max(64),
  runner: z.string().min(1).max(63),
  /** The sender's clock, ISO 8601: for people, never for decisions (it may be wrong). */
  at: z.string().max(40),
};

const text = (max: number) => z.string().max(max);

/** What a job-started or job-completed hook knows of its job: GitHub's default environment variables. */
const hookJob = z.object({
  runId: z.number().int().nonnegative(),
  runAttempt: z.number().int().nonnegative(),
  repository: text(200),
  workflow: text(500),
  /** `GITHUB_JOB`: the job's key in the workflow file, not its id. */
  jobKey: text(500),
});

export type HookJob = z.infer<typeof hookJob>;

export const runnerSignal = z.discriminatedUnion('kind', [
  /** The agent has its registration and the forge's runner program is running. */
  z.object({ ...base, kind: z.literal('online'), agentVersion: text(40), host: text(255) }),
  z.object({ ...base, kind: z.literal('started'), job: hookJob }),
  z.object({ ...base, kind: z.literal('completed'), job: hookJob }),
  /** What the job used: the wrapper `resource-usage` sends it before the job completes. */
  z.object({ ...base, kind: z.literal('resources'), resources: jobResources }),
  /** The cloud reclaims the instance (spot, preemption): at `deadline`, ISO 8601, where it is known. */
  z.object({ ...base, kind: z.literal('interrupted'), action: text(40), deadline: text(40).nullable() }),
  /** The forge's runner program ended. */
  z.object({
    ...base,
    kind: z.literal('exited'),
    code: z.number().int().nullable(),
    signal: text(20).nullable(),
    /** The end of the runner program's output, at most 8 kB, secrets masked. */
    logTail: text(8192),
  }),
]);

export type RunnerSignal = z.infer<typeof runnerSignal>;

/** Published by a backend's watcher on `instance.<runner>.died`, when the backend reports that the instance died. */
export const instanceDied = z.object({
  ...base,
  kind: z.literal('died'),
  exitCode: z.number().int().nullable(),
  /** One clause for people to read, such as `exited with code 137 (out of memory)`. */
  reason: text(500),
});

export type InstanceDied = z.infer<typeof instanceDied>;

/** Published by a backend on `created.<runner>` right after it created an instance. */
export const instanceCreated = z.object({
  runner: z.string(),
  group: z.string(),
  instanceId: z.string(),
  at: z.string(),
});

export type InstanceCreated = z.infer<typeof instanceCreated>;
