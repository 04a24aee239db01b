import { z } from 'zod';
import type { ForgeJob, ForgeScope, QueueOrder } from '../../../contracts/ports/forge.ts';
import type { JobAction } from '../../../contracts/messages/job-event.ts';
import { toJob, workflowJob } from '../../../contracts/messages/workflow-job.ts';
import type { GithubClient } from './client.ts';
import { toGithubError, getGithubStatus } from './errors.ts';
import { PER_PAGE, readPages } from './pages.ts';
import { toRepositoryPath } from './paths.ts';

const jobShape = workflowJob.extend({ status: z.string() });
const jobList = z.object({ jobs: z.array(jobShape) });
const runList = z.object({
  workflow_runs: z.array(
    z.object({
      id: z.number(),
      status: z.string().nullable(),
      repository: z.object({ full_name: z.string(), private: z.boolean() }),
    }),
  ),
});
const repositoryList = z.array(z.object({ name: z.string() }));

/**
 * Of an organisation's repositories, each look reads this many of those pushed to last, and the next page of the rest.
 */
const REPOSITORIES_PER_PAGE = 20;
/** The limit of unfinished runs per repository; queued ones come first. */
const MAX_RUNS = 50;

/**
 * The job's current state.
 *
 * @returns undefined on 404: it does not exist, or the App may not see it
 * @throws BatonError FORGE_*
 * @see https://docs.github.com/en/rest/actions/workflow-jobs#get-a-job-for-a-workflow-run
 */
export async function findJob(client: GithubClient, repository: string, id: number): Promise<ForgeJob | undefined> {
  try {
    const answer = await client.request(`GET ${toRepositoryPath(repository)}/actions/jobs/{job_id}`, {
      job_id: id,
    });
    return toForgeJob(jobShape.parse(answer.data), { full_name: repository, private: false });
  } catch (error) {
    if (getGithubStatus(error) === 404) return undefined;
    throw toGithubError(`asking for job ${id} of ${repository}`, error);
  }
}

/**
 * Finds jobs that wait for a runner and need no other labels than these. GitHub has no list of them: this reads the
 * unfinished runs, repository by repository, and their jobs.
 *
 * @throws BatonError FORGE_*
 */
export async function listQueuedJobs(
  client: GithubClient,
  { scope, labels, cursor }: QueueOrder,
): Promise<{ jobs: ForgeJob[]; cursor: number }> {
  const offered = new Set(['self-hosted', ...labels.map((label) => label.toLowerCase())]);
  try {
    const { names, next } = await listRepositories(client, scope, cursor);
    const jobs: ForgeJob[] = [];
    for (const name of names) {
      for (const run of await listUnfinishedRuns(client, `${scope.organization}/${name}`)) {
        const path = `GET ${toRepositoryPath(run.repository.full_name)}/actions/runs/{run_id}/jobs`;
        for await (const page of readPages(client, path, { run_id: run.id })) {
          const queued = jobList.parse(page).jobs.filter(({ status }) => status === 'queued');
          const fit = queued.filter((job) => job.labels.every((label) => offered.has(label.toLowerCase())));
          jobs.push(...fit.map((job) => toForgeJob(job, run.repository)));
        }
      }
    }
    return { jobs, cursor: next };
  } catch (error) {
    throw toGithubError(`looking for waiting jobs of ${scope.repository ?? scope.organization}`, error);
  }
}

async function listRepositories(
  client: GithubClient,
  scope: ForgeScope,
  cursor: number,
): Promise<{ names: string[]; next: number }> {
  if (scope.repository !== undefined) return { names: [scope.repository], next: 0 };
  const list = async (page: number): Promise<string[]> => {
    const answer = await client.request('GET /orgs/{org}/repos', {
      org: scope.organization,
      sort: 'pushed',
      direction: 'desc',
      per_page: REPOSITORIES_PER_PAGE,
      page,
    });
    return repositoryList.parse(answer.data).map(({ name }) => name);
  };
  const newest = await list(1);
  if (newest.length < REPOSITORIES_PER_PAGE) return { names: newest, next: 0 };
  const others = await list(cursor + 2);
  return { names: [...newest, ...others], next: others.length < REPOSITORIES_PER_PAGE ? 0 : cursor + 1 };
}

type Run = z.infer<typeof runList>['workflow_runs'][number];

/** Queued runs, and unfinished ones among the newest: they may have more jobs that wait. */
async function listUnfinishedRuns(client: GithubClient, repository: string): Promise<Run[]> {
  const runs = new Map<number, Run>();
  for (const parameters of [{ status: 'queued' }, {}]) {
    const answer = await client.request(`GET ${toRepositoryPath(repository)}/actions/runs`, {
      per_page: PER_PAGE,
      ...parameters,
    });
    for (const run of runList.parse(answer.data).workflow_runs) {
      if (run.status !== 'completed') runs.set(run.id, run);
    }
  }
  return [...runs.values()].slice(0, MAX_RUNS);
}

function toForgeJob(job: z.infer<typeof jobShape>, repository: { full_name: string; private: boolean }): ForgeJob {
  const [owner = '', name = ''] = repository.full_name.split('/');
  return {
    action: toJobAction(job.status),
    job: toJob(job),
    repository: { fullName: repository.full_name, owner, name, private: repository.private },
  };
}

/** `requested`, `pending` and `waiting` jobs don't wait for a runner. */
function toJobAction(status: string): JobAction {
  if (status === 'queued' || status === 'in_progress' || status === 'completed') return status;
  return 'waiting';
}
