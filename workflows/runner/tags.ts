import { CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type { JobTags } from '../../contracts/ports/backend.ts';
import type { Phase } from '../../contracts/workflows/phase.ts';
import { rootMessage } from '../lib/failure.ts';
import type { Facts } from './facts.ts';

/** What the instance's tags say, or what went wrong when they were set. */
export interface TagsState {
  /** The last phase that was told, whether or not that worked. */
  told: Phase | undefined;
  problem: string | undefined;
}

/**
 * Says on the instance when a job starts on its runner and when it ends. Nobody waits for it, and nothing fails with it: it is
 * for people who look at their cloud.
 */
export class InstanceTags {
  readonly #runner: string;
  readonly #tagInstance: BackendActivities['tagInstance'];
  readonly #onChange: () => void;
  readonly #scope = new CancellationScope();
  #told: Phase | undefined;
  /** The last phase that is told, or will be. */
  #asked: Phase | undefined;
  #problem: string | undefined;
  #next: JobTags | undefined;
  #working = false;
  #closed = false;

  /** @param onChange called when {@link InstanceTags.problem} has changed */
  constructor(runner: string, backend: string, onChange: () => void, carried?: TagsState) {
    this.#runner = runner;
    this.#onChange = onChange;
    this.#told = carried?.told;
    this.#asked = carried?.told;
    this.#problem = carried?.problem;
    this.#tagInstance = proxyActivities<Pick<BackendActivities, 'tagInstance'>>({
      taskQueue: TASK_QUEUE.backend(backend),
      startToCloseTimeout: '1 min',
      heartbeatTimeout: '20 s',
      // What can't be told by then is old.
      scheduleToCloseTimeout: '2 min',
      retry: { initialInterval: '1 s', maximumInterval: '15 s', maximumAttempts: 5 },
      summary: `tag instance ${runner}`,
    }).tagInstance;
  }

  toState(): TagsState {
    return { told: this.#told, problem: this.#problem };
  }

  /** Why the tags don't say what is so. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Takes up a new phase; at once, or after what is being said just now. */
  tell(phase: Phase, facts: Facts): void {
    if (this.#closed || (phase !== 'busy' && phase !== 'completing')) return;
    const tags = jobTags(phase, facts);
    if (tags === undefined || phase === this.#asked) return;
    this.#asked = phase;
    this.#next = tags;
    if (!this.#working) void this.#scope.run(() => this.#work());
  }

  /** The instance is to be removed: what is under way is given up. */
  close(): void {
    this.#closed = true;
    if (this.#working) this.#scope.cancel();
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (let tags = this.#next; tags !== undefined && !this.#closed; tags = this.#next) {
      this.#next = undefined;
      const problem = await this.#say(tags);
      if (problem === 'cancelled') break;
      this.#told = tags.phase;
      if (problem === this.#problem) continue;
      this.#problem = problem;
      this.#onChange();
    }
    this.#working = false;
  }

  async #say(tags: JobTags): Promise<string | undefined> {
    try {
      // Of an instance that is not there any more, others tell.
      await this.#tagInstance({ runner: this.#runner, tags });
      return undefined;
    } catch (error) {
      return isCancellation(error) ? 'cancelled' : rootMessage(error);
    }
  }
}

function jobTags(phase: Phase, { job, hookJob }: Facts): JobTags | undefined {
  const known = job ?? hookJob;
  if (known === undefined) return undefined;
  return {
    phase,
    repository: known.repository,
    workflow: known.workflow ?? '',
    job: job?.name ?? hookJob?.jobKey ?? '',
    run: String(known.runId),
    attempt: String(known.runAttempt),
  };
}
