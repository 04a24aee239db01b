import { z } from 'zod';

export const JOB_ACTIONS = ['queued', 'waiting', 'in_progress', 'completed'] as const;
export type JobAction = (typeof JOB_ACTIONS)[number];

/**
 * What a forge reported about a job: the parts of a `workflow_job` webhook that Baton uses. Published by ingress on
 * `webhook.<forge>.workflow_job`, message id = delivery GUID.
 * Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
 */
export const jobEvent = z.object({
  version: z.literal(1),
  forge: z.string().min(1),
  /** `X-GitHub-Delivery`: the same on redelivery. */
  delivery: z.string().min(1),
  action: z.enum(JOB_ACTIONS),
  /** When ingress received it, ISO 8601. */
  receivedAt: z.string(),
  job: z.object({
    id: z.number().int(),
    runId: z.number().int(),
    runAttempt: z.number().int(),
    name: z.string(),
    workflow: z.string().nullable(),
    headBranch: z.string().nullable(),
    labels: z.array(z.string()),
    conclusion: z.string().nullable(),
    createdAt: z.string().nullable(),
    startedAt: z.string().nullable(),
    completedAt: z.string().nullable(),
    url: z.string().nullable(),
    runnerId: z.number().int().nullable(),
    runnerName: z.string().nullable(),
    runnerGroup: z.string().nullable(),
  }),
  repository: z.object({
    /** `owner/name` */
    fullName: z.string(),
    owner: z.string(),
    name: z.string(),
    private: z.boolean(),
  }),
  organization: z.string().nullable(),
  installationId: z.number().int().nullable(),
});

export type JobEvent = z.infer<typeof jobEvent>;
