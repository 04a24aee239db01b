import { z } from 'zod';
import type { JobEvent } from './job-event.ts';

/** Forges leave out unknown values, or send null: both become null. */
const maybeText = z.string().nullish().default(null);

/**
 * What Baton reads of a job as forges write it: the same fields in a `workflow_job` webhook and in an answer of the jobs API.
 * Only the necessary fields are required.
 *
 * @see https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
 * @see https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
 */
export const workflowJob = z.object({
  id: z.number().int(),
  run_id: z.number().int(),
  run_attempt: z.number().int().nullish(),
  name: z.string(),
  workflow_name: maybeText,
  head_branch: maybeText,
  labels: z.array(z.string()),
  conclusion: maybeText,
  created_at: maybeText,
  started_at: maybeText,
  completed_at: maybeText,
  html_url: maybeText,
  runner_id: z.number().int().nullish(),
  runner_name: maybeText,
  runner_group_name: maybeText,
});

/** The same with the names that Baton uses. */
export function toJob(job: z.infer<typeof workflowJob>): JobEvent['job'] {
  return {
    id: job.id,
    runId: job.run_id,
    runAttempt: job.run_attempt ?? 1,
    name: job.name,
    workflow: job.workflow_name,
    headBranch: job.head_branch,
    labels: job.labels,
    conclusion: job.conclusion,
    createdAt: job.created_at,
    startedAt: job.started_at,
    completedAt: job.completed_at,
    url: job.html_url,
    // A job that never got a runner has the id 0 and an empty name, or null, or nothing.
    runnerId: job.runner_id || null,
    runnerName: job.runner_name || null,
    runnerGroup: job.runner_group_name || null,
  };
}
