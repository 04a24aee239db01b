import { z } from 'zod';
import type { CallOptions, ForgeScope } from '../../../contracts/ports/forge.ts';
import type { RunJob, RunControl } from '../../../contracts/ports/run-control.ts';
import type { GithubClient } from './client.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import { getGithubStatus, toGithubError } from './errors.ts';
import { PER_PAGE } from './pages.ts';
import { toRepositoryPath, toScopePath } from './paths.ts';
import { findGithubRunner } from './runners.ts';

const jobList = z.object({
  jobs: z.array(
    z.object({
      id: z.number(),
      run_id: z.number(),
      run_attempt: z.number().nullish(),
      name: z.string(),
      status: z.string(),
      conclusion: z.string().nullish(),
      runner_name: z.string().nullish(),
      html_url: z.string().nullish(),
      labels: z.array(z.string()).nullish(),
    }),
  ),
});
const runAnswer = z.object({ status: z.string().nullish(), run_attempt: z.number().nullish() });

/** "The workflow run containing this job is already running" */
const RUNNING_TEXT = /already (running|in progress)/i;

/** Runs, jobs and labels of GitHub, GHES and *.ghe.com. */
export class GithubRuns implements RunControl {
  readonly #client: GithubClient;

  constructor(client: GithubClient) {
    this.#client = client;
  }

  /** @see https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run-attempt */
  async listAttemptJobs(repository: string, runId: number, attempt: number): Promise<RunJob[]> {
    return await this.#listJobs(repository, `/actions/runs/${runId}/attempts/${attempt}/jobs`);
  }

  /** @see https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run */
  async getLatestAttempt(
    repository: string,
    runId: number,
  ): Promise<{ isCompleted: boolean; attempt: number; jobs: RunJob[] }> {
    const path = `/actions/runs/${runId}`;
    const run = await this.#call(`reading run ${runId} of ${repository}`, async () => {
      const answer = await this.#client.request(`GET ${toRepositoryPath(repository)}${path}`);
      return runAnswer.parse(answer.data);
    });
    const jobs = await this.#listJobs(repository, `${path}/jobs`);
    return { isCompleted: run.status === 'completed', attempt: run.run_attempt ?? 1, jobs };
  }

  /** @see https://docs.github.com/en/rest/actions/workflow-runs#re-run-a-job-from-a-workflow-run */
  async rerunJob(repository: string, jobId: number): Promise<'rerunning' | 'busy'> {
    return await this.#call(`running job ${jobId} of ${repository} again`, async () => {
      try {
        await this.#client.request(`POST ${toRepositoryPath(repository)}/actions/jobs/${jobId}/rerun`);
        return 'rerunning';
      } catch (error) {
        if (getGithubStatus(error) === 403 && RUNNING_TEXT.test(getErrorMessage(error))) return 'busy';
        throw error;
      }
    });
  }

  /** @see https://docs.github.com/en/rest/actions/self-hosted-runners#set-custom-labels-for-a-self-hosted-runner-for-an-organization */
  async replaceRunnerLabels(
    scope: ForgeScope,
    runner: string,
    labels: readonly string[],
    options: CallOptions = {},
  ): Promise<boolean> {
    return await this.#call(`labelling runner ${runner}`, async () => {
      const match = await findGithubRunner(this.#client, scope, runner, options);
      if (match === undefined) return false;
      await this.#client.request(`PUT ${toScopePath(scope)}/actions/runners/{runner_id}/labels`, {
        runner_id: match.id,
        labels: [...labels],
        request: { signal: options.signal },
      });
      return true;
    });
  }

  async #listJobs(repository: string, path: string): Promise<RunJob[]> {
    const all: RunJob[] = [];
    for (let page = 1; ; page++) {
      const jobs = await this.#call(`listing the jobs of ${repository}${path}`, async () => {
        const answer = await this.#client.request(`GET ${toRepositoryPath(repository)}${path}`, {
          per_page: PER_PAGE,
          page,
        });
        return jobList.parse(answer.data).jobs;
      });
      for (const job of jobs) {
        all.push({
          id: job.id,
          runId: job.run_id,
          attempt: job.run_attempt ?? 1,
          name: job.name,
          status: job.status,
          conclusion: job.conclusion ?? null,
          // A job that never got a runner has an empty name, or null.
          runnerName: job.runner_name || null,
          url: job.html_url ?? null,
          labels: job.labels ?? [],
        });
      }
      if (jobs.length < PER_PAGE) return all;
    }
  }

  async #call<T>(doing: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toGithubError(doing, error);
    }
  }
}
