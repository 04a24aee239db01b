import { z } from 'zod';
import { NAME_PATTERN } from '../workflows/runner-name.ts';

const text = (max: number) => z.string().max(max);
const digits = z.string().regex(/^\d{1,19}$/, 'expected digits');
const repository = z
  .string()
  .max(200)
  .regex(/^[\w.-]+\/[\w.-]+$/, 'expected owner/name');
const proxyName = z.string().max(60).regex(NAME_PATTERN, 'expected a proxy’s name');

/** What a proxy's hook knows of its job, without secrets. The body of `POST /api/jobs/delegate`. */
export const jobContext = z.strictObject({
  /** `GITHUB_JOB`: the job's key in the workflow file. */
  jobId: text(500).min(1),
  runId: digits,
  runAttempt: z.number().int().positive().max(100_000),
  repository,
  workflow: text(500),
  runnerName: proxyName,
  labels: z.array(text(256).min(1)).max(100),
  /** `RUNNER_TRACKING_ID`: distinguishes the jobs of a matrix, which share all of the above. */
  trackingId: text(100).default(''),
  /** Variables of the job, without all that is or looks secret. */
  environment: z.record(text(256), text(32_768)).default({}),
  /** Set where the workflow passes it on: the forge's runner does not pass it to hooks. */
  matrix: z.record(text(256), z.unknown()).nullable().default(null),
  needs: z.array(text(500)).max(256).nullable().default(null),
});

export type JobContext = z.infer<typeof jobContext>;

/** Sent from ingress to relay: a job that was handed over, or a proxy's report that its attempt is about to end. */
export const delegationMessage = z.discriminatedUnion('kind', [
  z.object({
    version: z.literal(1),
    kind: z.literal('requested'),
    id: text(64),
    at: z.string(),
    /** The context without its environment, which only the ingress needs. */
    context: jobContext.omit({ environment: true, matrix: true, needs: true }),
  }),
  z.object({ version: z.literal(1), kind: z.literal('attempt-over'), id: text(64), at: z.string(), proxy: proxyName }),
]);

export type DelegationMessage = z.infer<typeof delegationMessage>;

export const DELEGATION_STATUSES = ['queued', 'running', 'completed', 'failed'] as const;

/** A delegated job, as `GET /api/jobs/{id}` returns it. */
export const delegatedJob = z.object({
  id: z.string(),
  status: z.enum(DELEGATION_STATUSES),
  /** What it waits for, or how it ended, as one sentence for people to read. */
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
  /** The forge's id of the job in its newest attempt, that attempt, and the job's page. */
  forgeJobId: z.number().nullable(),
  attempt: z.number().nullable(),
  url: z.string().nullable(),
  /** The ephemeral runner, and its container (or other instance). */
  runner: z.string().nullable(),
  containerId: z.string().nullable(),
  startedAt: z.string().nullable(),
  completedAt: z.string().nullable(),
  /** As the forge reports it: success, failure, cancelled, … */
  conclusion: z.string().nullable(),
  /** Exit code of the forge's runner program in the container, and the end of its output. */
  exitCode: z.number().nullable(),
  logTail: z.string().nullable(),
});

export type DelegatedJob = z.infer<typeof delegatedJob>;

/** The first state of a job that was handed over. */
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
