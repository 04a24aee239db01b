import type { Job, StepRecord } from '../state.ts';
import type { Urls } from '../simulation.ts';
import { toIsoSeconds, toNodeId, type Schemas } from './account.ts';

const toTimeOrNull = (ms: number | null): string | null => (ms === null ? null : toIsoSeconds(ms));

export function getJobUrls(urls: Urls, job: Job) {
  const fullName = `${job.run.repository.owner.login}/${job.run.repository.name}`;
  return {
    run_url: `${urls.api}/repos/${fullName}/actions/runs/${job.run.id}`,
    url: `${urls.api}/repos/${fullName}/actions/jobs/${job.id}`,
    html_url: `${urls.web}/${fullName}/actions/runs/${job.run.id}/job/${job.id}`,
    check_run_url: `${urls.api}/repos/${fullName}/check-runs/${job.id}`,
  };
}

function toStepShape(step: StepRecord) {
  return {
    name: step.name,
    status: step.status,
    conclusion: step.conclusion,
    number: step.number,
    started_at: step.startedAt,
    completed_at: step.completedAt,
  };
}

/** A job as in REST answers and webhooks: the fields of its runner are null until it has started. */
export function toJobShape(urls: Urls, job: Job): Schemas['job'] {
  return {
    id: job.id,
    run_id: job.run.id,
    workflow_name: job.run.workflow,
    head_branch: job.run.branch,
    run_attempt: job.attempt,
    node_id: toNodeId('CR', job.id),
    head_sha: job.run.sha,
    ...getJobUrls(urls, job),
    status: job.status,
    conclusion: job.conclusion,
    created_at: toIsoSeconds(job.createdAt),
    // GitHub sends the time of creation until the job starts.
    started_at: toIsoSeconds(job.startedAt ?? job.createdAt),
    completed_at: toTimeOrNull(job.completedAt),
    name: job.spec.name,
    steps: job.steps.map(toStepShape),
    labels: job.spec.labels,
    runner_id: job.runner?.id ?? null,
    runner_name: job.runner?.name ?? null,
    runner_group_id: job.runner?.groupId ?? null,
    runner_group_name: job.runner?.groupName ?? null,
  };
}
