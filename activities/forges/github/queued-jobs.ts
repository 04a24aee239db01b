import pMap from 'p-map';
import { z } from 'zod';
import { MAX_QUEUED_MS } from '../../../contracts/workflows/job.ts';
import type { ForgeJob, ForgeScope, LookOptions, QueuedJobs, QueueOrder } from '../../../contracts/ports/forge.ts';
import { SharedAnswers } from '../../lib/shared-answers.ts';
import type { GithubClient } from './client.ts';
import { toGithubError } from './errors.ts';
import { listedJob, toForgeJob } from './jobs.ts';
import { findNextPage, PER_PAGE, readPages } from './pages.ts';
import { toRepositoryPath, toScopeName } from './paths.ts';
import { RepositoryTurns } from './repositories.ts';

const time = z.string().nullish();
const runList = z.object({
  workflow_runs: z.array(
    z.object({
      id: z.number(),
      status: z.string().nullable(),
      created_at: time,
      run_started_at: time,
      updated_at: time,
      repository: z.object({ full_name: z.string(), private: z.boolean() }),
    }),
  ),
});
const jobList = z.object({ jobs: z.array(listedJob) });

type Run = z.infer<typeof runList>['workflow_runs'][number];

/** The limit of unfinished runs per repository; queued ones come first. */
const MAX_RUNS_PER_REPOSITORY = 50;
/** The limit of unfinished runs per look, whose jobs cost a call each. */
const MAX_RUNS = 300;
const MAX_CONCURRENT_REPOSITORIES = 4;
/** So many repositories without an answer in a row are an outage, which the next look survives better than this one. */
const MAX_UNANSWERED = 3;

/**
 * The jobs that wait for a runner. GitHub has no list of them: this reads the unfinished runs, repository by repository, and their
 * jobs: once for all groups of an organisation or repository. A repository that cannot be read costs that repository only.
 */
export class QueuedJobsLook {
  readonly #client: GithubClient;
  readonly #turns: RepositoryTurns;
  readonly #looks = new SharedAnswers<QueuedJobs>();

  constructor(client: GithubClient) {
    this.#client = client;
    this.#turns = new RepositoryTurns(client);
  }

  /** Jobs that need no other labels than these. @throws BatonError FORGE_* */
  async list({ scope, labels }: QueueOrder, options: LookOptions): Promise<QueuedJobs> {
    const key = toScopeName(scope).toLowerCase();
    const { jobs, unread, notes } = await this.#looks.get(key, options, (signal) => this.#look(scope, signal));
    const offered = new Set(['self-hosted', ...labels.map((label) => label.toLowerCase())]);
    return {
      jobs: jobs.filter(({ job }) => job.labels.every((label) => offered.has(label.toLowerCase()))),
      unread,
      notes,
    };
  }

  async #look(scope: ForgeScope, signal: AbortSignal): Promise<QueuedJobs> {
    const attempt = new Attempt(`looking for waiting jobs of ${toScopeName(scope)}`);
    const names = await attempt.all(() => this.#turns.list(scope, signal));
    const notes: string[] = [];
    const found = await each(names, async (name) => {
      const repository = `${scope.organization}/${name}`;
      const runs = await attempt.one(repository, () => this.#listUnfinishedRuns(repository, signal));
      const renamed = runs?.find(
        ({ repository: { full_name } }) => full_name.toLowerCase() !== repository.toLowerCase(),
      );
      if (renamed !== undefined)
        notes.push(`${repository} is ${renamed.repository.full_name} now: change it in the configuration`);
      return runs ?? [];
    });
    const runs = found.flat().sort((a, b) => Number(b.status === 'queued') - Number(a.status === 'queued'));
    if (runs.length > MAX_RUNS) attempt.unread.push(`read only ${MAX_RUNS} of ${runs.length} unfinished runs`);
    const jobs = await each(runs.slice(0, MAX_RUNS), async (run) => {
      const { full_name: repository } = run.repository;
      return (await attempt.one(repository, () => this.#listQueuedJobs(run, signal))) ?? [];
    });
    return { jobs: jobs.flat(), unread: [...new Set(attempt.unread)], notes };
  }

  /** Queued runs, and unfinished ones among the newest: they may have more jobs that wait. */
  async #listUnfinishedRuns(repository: string, signal: AbortSignal): Promise<Run[]> {
    const route = `GET ${toRepositoryPath(repository)}/actions/runs`;
    const newest = await this.#client.request(route, { per_page: PER_PAGE, request: { signal } });
    const listed = runList.parse(newest.data).workflow_runs;
    if (findNextPage(newest.headers.link) !== undefined) {
      // There are older runs: one of them may have been started again.
      const queued = await this.#client.request(route, { status: 'queued', per_page: PER_PAGE, request: { signal } });
      listed.unshift(...runList.parse(queued.data).workflow_runs);
    }
    const runs = new Map(listed.map((run) => [run.id, run]));
    return [...runs.values()]
      .filter(({ status }) => status !== 'completed')
      .filter((run) => run.status !== 'queued' || isRecent([run.created_at, run.run_started_at, run.updated_at]))
      .sort((a, b) => Number(b.status === 'queued') - Number(a.status === 'queued'))
      .slice(0, MAX_RUNS_PER_REPOSITORY);
  }

  async #listQueuedJobs(run: Run, signal: AbortSignal): Promise<ForgeJob[]> {
    const route = `GET ${toRepositoryPath(run.repository.full_name)}/actions/runs/{run_id}/jobs`;
    const jobs: ForgeJob[] = [];
    for await (const page of readPages(this.#client, route, { run_id: run.id }, signal)) {
      for (const job of jobList.parse(page).jobs) {
        // The run is newer than the job where an environment was approved late.
        const isWaiting = job.status === 'queued' && isRecent([job.created_at, job.started_at, run.updated_at]);
        if (isWaiting) jobs.push(toForgeJob(job, run.repository));
      }
    }
    return jobs;
  }
}

const each = <T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> =>
  pMap(items, work, { concurrency: MAX_CONCURRENT_REPOSITORIES });

/** Whether one of these times is young enough for a job that waits. A forge that sends none gets the benefit of the doubt. */
function isRecent(times: readonly (string | null | undefined)[]): boolean {
  const known = times.map((one) => Date.parse(one ?? '')).filter((at) => !Number.isNaN(at));
  return known.length === 0 || Math.max(...known) > Date.now() - MAX_QUEUED_MS;
}

/** Calls about several repositories, of which one may fail without the others. */
class Attempt {
  readonly unread: string[] = [];
  readonly #doing: string;
  #unanswered = 0;

  constructor(doing: string) {
    this.#doing = doing;
  }

  /** @throws BatonError FORGE_* */
  async all<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toGithubError(this.#doing, error);
    }
  }

  /** Undefined where that repository cannot be read. @throws BatonError FORGE_* in an outage, or at a limit */
  async one<T>(repository: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await work();
      this.#unanswered = 0;
      return answer;
    } catch (error) {
      const failure = toGithubError(`${this.#doing} in ${repository}`, error);
      if (failure.code !== 'FORGE_REFUSED') this.#unanswered += 1;
      if (failure.code === 'FORGE_RATE_LIMITED' || this.#unanswered >= MAX_UNANSWERED) throw failure;
      this.unread.push(failure.message);
      return undefined;
    }
  }
}
