import { z } from 'zod';
import { NAME_PATTERN } from '../workflows/runner-name.ts';

const text = (max: number) => z.string().max(max);
const digits = z.string().regex(/^\d{1,19}$/, 'expected digits');
const repository = z
  .string()
  .max(200)
  .regex(/^[\w.-]+\/[\w.-]+$/, 'expected owner/name');
const proxyName = z.string().max(60).regex(NAME_PATTERN, 'expected a proxy’s name');

/** What a proxy's hook knows of its job and may tell: nothing secret is in it. The body of `POST /api/jobs/delegate`. */
export const jobContext = z.strictObject({
  /** `GITHUB_JOB`: the job's key in the workflow file. */
  jobId: text(500).min(1),
  runId: digits,
  runAttempt: z.number().int().positive().max(100_000),
  repository,
  workflow: text(500),
  runnerName: proxyName,
  labels: z.array(text(256).min(1)).max(100),
  /** `RUNNER_TRACKING_ID`: tells apart the jobs of a matrix, which share all of the above. */
  trackingId: text(100).default(''),
  /** Variables of the job, less all that is or looks secret. */
  environment: z.record(text(256), text(32_768)).default({}),
  /** Where the workflow hands it over: the forge's runner does not tell its hooks. */
  matrix: z.record(text(256), z.unknown()).nullable().default(null),
  needs: z.array(text(500)).max(256).nullable().default(null),
});

export type JobContext = z.infer<typeof jobContext>;

/** What the bus carries from ingress to relay: a job that was handed over, or a proxy's word that its attempt is over. */
export const delegationMessage = z.discriminatedUnion('kind', [
  z.object({
    version: z.literal(1),
    kind: z.literal('requested'),
    id: text(64),
    at: z.string(),
    /** The context without its environment, which nobody behind the ingress needs. */
    context: jobContext.omit({ environment: true, matrix: true, needs: true }),
  }),
  z.object({ version: z.literal(1), kind: z.literal('attempt-over'), id: text(64), at: z.string(), proxy: proxyName }),
]);

export type DelegationMessage = z.infer<typeof delegationMessage>;

export const DELEGATION_STATUSES = ['queued', 'running', 'completed', 'failed'] as const;

/** A job on its way from a proxy to an ephemeral runner, as `GET /api/jobs/{id}` tells it. */
export const delegatedJob = z.object({
  id: z.string(),
  status: z.enum(DELEGATION_STATUSES),
  /** One sentence for a person: what it waits for, or how it ended. */
  detail: z.string(),
  jobId: z.string(),
  runId: z.string(),
  runAttempt: z.number(),
  repository: z.string(),
  workflow: z.string(),
  /** The proxy. */
  runnerName: z.string(),
  labels: z.array(z.string()),
  requestedAt: z.string(),
  /** The forge's own id of the job in its newest attempt, its attempt and its page. */
  forgeJobId: z.number().nullable(),
  attempt: z.number().nullable(),
  url: z.string().nullable(),
  /** The ephemeral runner, and its container (or other instance). */
  runner: z.string().nullable(),
  containerId: z.string().nullable(),
  startedAt: z.string().nullable(),
  completedAt: z.string().nullable(),
  /** The forge's word: success, failure, cancelled, … */
  conclusion: z.string().nullable(),
  /** Of the forge's runner program in the container, and the end of what it printed. */
  exitCode: z.number().nullable(),
  logTail: z.string().nullable(),
});

export type DelegatedJob = z.infer<typeof delegatedJob>;

/** A job that was just handed over. */
export function createDelegatedJob(
  id: string,
  context: Omit<JobContext, 'environment' | 'matrix' | 'needs'>,
  requestedAt: string,
): DelegatedJob {
  const { jobId, runId, runAttempt, repository, workflow, runnerName, labels } = context;
  return {
    id,
    status: 'queued',
    detail: 'handed over by the proxy',
    jobId,
    runId,
    runAttempt,
    repository,
    workflow,
    runnerName,
    labels,
    requestedAt,
    forgeJobId: null,
    attempt: null,
    url: null,
    runner: null,
    containerId: null,
    startedAt: null,
    completedAt: null,
    conclusion: null,
    exitCode: null,
    logTail: null,
  };
}
