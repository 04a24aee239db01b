import { z } from 'zod';
import { JOB_ACTIONS, type JobEvent } from '../../contracts/messages/job-event.ts';
import { toJob, workflowJob } from '../../contracts/messages/workflow-job.ts';
import { BatonError } from '../../contracts/errors.ts';
import { toWrongFields } from '../../contracts/lib/schema-errors.ts';

/**
 * The fields of a `workflow_job` webhook that Baton reads. Only the indispensable ones are required.
 * Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_job
 */
const workflowJobWebhook = z.object({
  action: z.string(),
  workflow_job: workflowJob,
  repository: z.object({
    full_name: z.string(),
    name: z.string(),
    private: z.boolean().nullish(),
    owner: z.object({ login: z.string() }),
  }),
  organization: z.object({ login: z.string().nullish() }).nullish(),
  installation: z.object({ id: z.number().int().nullish() }).nullish(),
});

const knownAction = z.enum(JOB_ACTIONS);

/** NATS takes messages of 1 MiB, with their headers. */
const MAX_EVENT_BYTES = 1000 * 1024;
/** What is left of a long text in an event that would be larger. GitHub's own limits for names are below. */
const MAX_TEXT = 1000;

/**
 * Converts a `workflow_job` webhook to the job event that Baton publishes.
 *
 * @param received facts about the request itself
 * @returns undefined for an unknown action: a newer forge may have more, and the delivery is still valid
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
  return limitSize({
    version: 1,
    forge: received.forge,
    delivery: received.delivery,
    action: action.data,
    receivedAt: received.at.toISOString(),
    job: toJob(job),
    repository: {
      fullName: repository.full_name,
      owner: repository.owner.login,
      name: repository.name,
      private: repository.private ?? false,
    },
    organization: organization?.login ?? null,
    installationId: installation?.id ?? null,
  });
}

/**
 * Cuts the texts that only people read, where the event is too large for NATS. What Baton decides by stays whole: with an endless
 * list of labels, the event is refused when it is published.
 */
function limitSize(event: JobEvent): JobEvent {
  if (Buffer.byteLength(JSON.stringify(event)) <= MAX_EVENT_BYTES) return event;
  const cut = (text: string | null): string | null => text?.slice(0, MAX_TEXT) ?? null;
  const { name, workflow, headBranch, conclusion, url } = event.job;
  return {
    ...event,
    job: {
      ...event.job,
      name: name.slice(0, MAX_TEXT),
      workflow: cut(workflow),
      headBranch: cut(headBranch),
      conclusion: cut(conclusion),
      url: cut(url),
    },
  };
}

function invalid(payload: unknown, error: z.ZodError): BatonError {
  const fields = toWrongFields(error);
  const action = z.object({ action: z.string() }).safeParse(payload);
  if (action.success && !knownAction.safeParse(action.data.action).success) {
    fields.unshift({ path: 'action', message: `expected one of ${JOB_ACTIONS.join(', ')}` });
  }
  const list = fields.map((field) => `${field.path}: ${field.message}`).join('; ');
  return new BatonError('WEBHOOK_INVALID', `reading a workflow_job webhook: ${list}`, { details: { fields } });
}
