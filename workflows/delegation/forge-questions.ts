import { ActivityFailure, ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type {
  DelegatedJobActivities,
  RerunAnswer,
  RerunOrder,
  RerunState,
} from '../../contracts/ports/forge-activities.ts';
import type { RunJob } from '../../contracts/ports/run-control.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import type { DelegationProgress } from './progress.ts';

const forge = proxyActivities<Pick<DelegatedJobActivities, 'observeDelegatedJob' | 'checkRerun' | 'rerunDelegatedJob'>>(
  {
    taskQueue: TASK_QUEUE.forge,
    startToCloseTimeout: '5 min',
    heartbeatTimeout: '20 s',
    retry: { initialInterval: '1 s', maximumInterval: '1 min' },
  },
);
const finder = proxyActivities<Pick<DelegatedJobActivities, 'findDelegatedJob'>>({
  taskQueue: TASK_QUEUE.forge,
  startToCloseTimeout: '1 min',
  // The forge's list lags behind. After this time, the job is lost.
  scheduleToCloseTimeout: '1 hour',
  retry: { initialInterval: '500 ms', maximumInterval: '15 s' },
  summary: 'find the job on the forge',
});

/** The code of an answer with which the forge refuses. */
const REFUSED = 'FORGE_REFUSED';
/** How long refusals in a row may last until they are final: of a job that was never seen, and of one that is known. */
const MAX_REFUSED_MS = { find: 3_600_000, look: 24 * 3_600_000 };

/** The job belongs to another delegation already, which runs it. */
export class HandedOn {
  readonly to: string;

  constructor(to: string) {
    this.to = to;
  }
}

/** A delegation's questions about its job on the forge; answers change what is known of the job. */
export class ForgeQuestions {
  readonly #progress: DelegationProgress;
  readonly #proxies: string[];
  readonly #onRefused: (reason: string) => void;
  /** Since when the forge has only refused, milliseconds since the epoch. */
  #refusedSince: number | undefined;

  /** @param onRefused called with the reason when the forge refuses to show the job: the next question may succeed */
  constructor(
    progress: DelegationProgress,
    proxies: string[],
    onRefused: (reason: string) => void,
    refusedSince?: number,
  ) {
    this.#progress = progress;
    this.#proxies = proxies;
    this.#onRefused = onRefused;
    this.#refusedSince = refusedSince;
  }

  get refusedSince(): number | undefined {
    return this.#refusedSince;
  }

  /** Finds the job on the forge. */
  async findJob(job: DelegatedJob): Promise<HandedOn | 'found' | 'refused'> {
    return await this.#unlessRefused(MAX_REFUSED_MS.find, async () =>
      this.#apply(await finder.findDelegatedJob({ job })),
    );
  }

  /** Asks the forge about the job. */
  async observeJob({ id, repository }: DelegatedJob): Promise<HandedOn | 'found' | 'refused'> {
    const { job } = this.#progress;
    if (job === undefined) return 'found';
    return await this.#unlessRefused(MAX_REFUSED_MS.look, async () =>
      this.#apply(await forge.observeDelegatedJob({ id, repository, job })),
    );
  }

  /** Asks the forge whether it would run just that job again now. */
  async checkRerun(job: DelegatedJob): Promise<HandedOn | RerunState | 'refused'> {
    return await this.#unlessRefused(MAX_REFUSED_MS.look, () => this.#rerun(job, forge.checkRerun));
  }

  /** Makes the forge run just that job again. A refusal is final. */
  async rerunJob(job: DelegatedJob): Promise<HandedOn | RerunState> {
    return await this.#rerun(job, forge.rerunDelegatedJob);
  }

  async #rerun(
    { id, repository }: DelegatedJob,
    activity: (order: RerunOrder) => Promise<RerunAnswer>,
  ): Promise<HandedOn | RerunState> {
    const { job } = this.#progress;
    if (job === undefined) return 'not-needed';
    const answer = await activity({ id, repository, job, proxies: this.#proxies });
    if ('handedTo' in answer) return new HandedOn(answer.handedTo);
    this.#progress.applyJob(answer.job);
    return answer.state;
  }

  #apply(answer: { job: RunJob } | { handedTo: string }): HandedOn | 'found' {
    if ('handedTo' in answer) return new HandedOn(answer.handedTo);
    this.#progress.applyJob(answer.job);
    return 'found';
  }

  async #unlessRefused<T>(maxMs: number, ask: () => Promise<T>): Promise<T | 'refused'> {
    try {
      const answer = await ask();
      this.#refusedSince = undefined;
      return answer;
    } catch (error) {
      const cause = error instanceof ActivityFailure ? error.cause : undefined;
      if (!(cause instanceof ApplicationFailure) || cause.type !== REFUSED) throw error;
      this.#refusedSince ??= Date.now();
      if (Date.now() - this.#refusedSince >= maxMs) throw error;
      this.#onRefused(cause.message);
      return 'refused';
    }
  }
}
