import { z } from 'zod';
import type { CallOptions, ForgeJob } from '../../../contracts/ports/forge.ts';
import type { JobAction } from '../../../contracts/messages/job-event.ts';
import { toJob, workflowJob } from '../../../contracts/messages/workflow-job.ts';
import type { GithubClient } from './client.ts';
import { toGithubError, getGithubStatus } from './errors.ts';
import { toRepositoryPath } from './paths.ts';

/** A job as the jobs API writes it. */
export const listedJob = workflowJob.extend({ status: z.string() });

const runState = z.object({
  status: z.string().nullish(),
  run_attempt: z.number().nullish(),
  repository: z.object({ full_name: z.string(), private: z.boolean() }),
});

/**
 * The job's current state. GitHub answers redirects for a repository's former name, which `fetch` follows.
 *
 * @returns undefined on 404: it does not exist, or the App may not see it
 * @throws BatonError FORGE_*
 * @see https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
 */
export async function findJob(
  client: GithubClient,
  repository: string,
  id: number,
  { signal }: CallOptions = {},
): Promise<ForgeJob | undefined> {
  const path = `GET ${toRepositoryPath(repository)}/actions`;
  try {
    const answer = await client.request(`${path}/jobs/{job_id}`, { job_id: id, request: { signal } });
    const job = listedJob.parse(answer.data);
    // The job says neither whose repository it is of nor whether that is private; its run does.
    const run = await client.request(`${path}/runs/{run_id}`, { run_id: job.run_id, request: { signal } });
    const { status, run_attempt: attempt, repository: owner } = runState.parse(run.data);
    const found = toForgeJob(job, owner);
    // A job can stay queued, or held, for ever in a run that is over.
    const { runAttempt } = found.job;
    const runIsOver = status === 'completed' || (attempt ?? runAttempt) > runAttempt;
    return runIsOver ? { ...found, runIsOver, action: 'completed' } : found;
  } catch (error) {
    if (getGithubStatus(error) === 404) return undefined;
    throw toGithubError(`asking for job ${id} of ${repository}`, error);
  }
}

export function toForgeJob(
  job: z.infer<typeof listedJob>,
  repository: { full_name: string; private: boolean },
): ForgeJob {
  const [owner = '', name = ''] = repository.full_name.split('/');
  return {
    action: toJobAction(job.status),
    runIsOver: false,
    job: toJob(job),
    repository: { fullName: repository.full_name, owner, name, private: repository.private },
  };
}

/** `requested`, `pending` and `waiting` jobs don't wait for a runner. */
function toJobAction(status: string): JobAction {
  if (status === 'queued' || status === 'in_progress' || status === 'completed') return status;
  return 'waiting';
}
