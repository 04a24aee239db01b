import type { CallOptions, ForgeScope } from '../../../contracts/ports/forge.ts';
import type { RunJob, RunControl } from '../../../contracts/ports/run-control.ts';
import { AppChoice, type App } from './app-choice.ts';

export interface RunsApp extends App {
  runs: RunControl;
}

/**
 * A delegation's calls, with several Apps: each call uses the App of its organisation that has the most budget left.
 */
export class GithubAppsRuns implements RunControl {
  readonly #choice: AppChoice<RunsApp>;

  /** @param apps at least one */
  constructor(apps: readonly RunsApp[]) {
    this.#choice = new AppChoice(apps);
  }

  listAttemptJobs(repository: string, runId: number, attempt: number): Promise<RunJob[]> {
    return this.#choice.chooseForRepository(repository, 'background').runs.listAttemptJobs(repository, runId, attempt);
  }

  getLatestAttempt(
    repository: string,
    runId: number,
  ): Promise<{ isCompleted: boolean; attempt: number; jobs: RunJob[] }> {
    return this.#choice.chooseForRepository(repository, 'background').runs.getLatestAttempt(repository, runId);
  }

  rerunJob(repository: string, jobId: number): Promise<'rerunning' | 'busy'> {
    return this.#choice.chooseForRepository(repository, 'registration').runs.rerunJob(repository, jobId);
  }

  replaceRunnerLabels(
    scope: ForgeScope,
    runner: string,
    labels: readonly string[],
    options?: CallOptions,
  ): Promise<boolean> {
    const { runs } = this.#choice.choose(scope.organization, 'removal');
    return runs.replaceRunnerLabels(scope, runner, labels, options);
  }
}
