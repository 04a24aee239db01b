import { z } from 'zod';
import { JOB_ACTIONS, type JobEvent } from '../../contracts/messages/job-event.ts';
import { BatonError } from '../../contracts/errors.ts';

/** Forges leave out what they don't know, or send null: both are null inside. */
const maybeText = z.string().nullish().default(null);

/**
 * What Baton reads of a `workflow_job` webhook; all else is ignored. Only that which nothing works without is required.
 * Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
 */
const workflowJobWebhook = z.object({
  action: z.string(),
  workflow_job: z.object({
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
  }),
  repository: z.object({
    full_name: z.string(),
    name: z.string(),
    private: z.boolean().nullish(),
    owner: z.object({ login: z.string() }),
  }),
  organization: z.object({ login: maybeText }).nullish(),
  installation: z.object({ id: z.number().int().nullish() }).nullish(),
});

const knownAction = z.enum(JOB_ACTIONS);

/**
 * A `workflow_job` webhook as the event that goes on the bus. An action that the forge didn't have when this was written
 * gives undefined: it is none of our business, and no reason to refuse the delivery.
 *
 * @param received what is known from the request itself
 * @throws BatonError WEBHOOK_INVALID with `details.fields`: each wrong field's path and what was expected
 */
export function toJobEvent(
  payload: unknown,
  received: { forge: string; delivery: string; at: Date },
): JobEvent | undefined {
  const parsed = workflowJobWebhook.safeParse(payload);
  if (!parsed.success) throw invalid(payload, parsed.error);
  const { workflow_job: job, repository, organization, installation } = parsed.data;
  const action = knownAction.safeParse(parsed.data.action);
  if (!action.success) return undefined;
  return {
    version: 1,
    forge: received.forge,
    delivery: received.delivery,
    action: action.data,
    receivedAt: received.at.toISOString(),
    job: {
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
    },
    repository: {
      fullName: repository.full_name,
      owner: repository.owner.login,
      name: repository.name,
      private: repository.private ?? false,
    },
    organization: organization?.login ?? null,
    installationId: installation?.id ?? null,
  };
}

function invalid(payload: unknown, error: z.ZodError): BatonError {
  const fields = error.issues.map((issue) => ({ path: issue.path.join('.') || '(body)', message: issue.message }));
  const action = z.object({ action: z.string() }).safeParse(payload);
  if (action.success && !knownAction.safeParse(action.data.action).success) {
    fields.unshift({ path: 'action', message: `expected one of ${JOB_ACTIONS.join(', ')}` });
  }
  const list = fields.map((field) => `${field.path}: ${field.message}`).join('; ');
  return new BatonError('WEBHOOK_INVALID', `reading a workflow_job webhook: ${list}`, { details: { fields } });
}
