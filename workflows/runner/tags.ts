import { CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type { JobTags } from '../../contracts/ports/backend.ts';
import type { Phase } from '../../contracts/workflows/phase.ts';
import { findRootMessage } from '../lib/failure.ts';
import type { Facts } from './facts.ts';

/** Which phase is in the instance's tags, or why writing it failed. */
export interface TagsState {
  /** The last phase that was written, even if that failed. */
  written: Phase | undefined;
  problem: string | undefined;
}

/**
 * Writes tags on the instance when a job starts on its runner and when it ends, for people who look at their cloud. Nothing
 * waits for it, and its failure makes nothing else fail.
 */
export class InstanceTags {
  readonly #runner: string;
  readonly #tagInstance: BackendActivities['tagInstance'];
  readonly #onChange: () => void;
  readonly #scope = new CancellationScope();
  #written: Phase | undefined;
  /** The last phase that was written or is to be written. */
  #requested: Phase | undefined;
  #problem: string | undefined;
  #next: JobTags | undefined;
  #writing = false;
  #closed = false;

  /** @param onChange called when {@link InstanceTags.problem} has changed */
  constructor(runner: string, backend: string, onChange: () => void, carried?: TagsState) {
    this.#runner = runner;
    this.#onChange = onChange;
    this.#written = carried?.written;
    this.#requested = carried?.written;
    this.#problem = carried?.problem;
    this.#tagInstance = proxyActivities<Pick<BackendActivities, 'tagInstance'>>({
      taskQueue: TASK_QUEUE.backend(backend),
      startToCloseTimeout: '1 min',
      heartbeatTimeout: '20 s',
      // By then the tags are out of date.
      scheduleToCloseTimeout: '2 min',
      retry: { initialInterval: '1 s', maximumInterval: '15 s', maximumAttempts: 5 },
      summary: `tag instance ${runner}`,
    }).tagInstance;
  }

  toState(): TagsState {
    return { written: this.#written, problem: this.#problem };
  }

  /** Why the tags are out of date. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Writes a new phase: at once, or after the write that is running. */
  request(phase: Phase, facts: Facts): void {
    if (this.#closed || (phase !== 'busy' && phase !== 'completing')) return;
    const tags = toJobTags(phase, facts);
    if (tags === undefined || phase === this.#requested) return;
    this.#requested = phase;
    this.#next = tags;
    if (!this.#writing) void this.#scope.run(() => this.#writeAll());
  }

  /** The instance is about to be removed: cancels the running write. */
  close(): void {
    this.#closed = true;
    if (this.#writing) this.#scope.cancel();
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    for (let tags = this.#next; tags !== undefined && !this.#closed; tags = this.#next) {
      this.#next = undefined;
      const problem = await this.#write(tags);
      if (problem === 'cancelled') break;
      this.#written = tags.phase;
      if (problem === this.#problem) continue;
      this.#problem = problem;
      this.#onChange();
    }
    this.#writing = false;
  }

  async #write(tags: JobTags): Promise<string | undefined> {
    try {
      // An instance that does not exist is reported elsewhere.
      await this.#tagInstance({ runner: this.#runner, tags });
      return undefined;
    } catch (error) {
      return isCancellation(error) ? 'cancelled' : findRootMessage(error);
    }
  }
}

function toJobTags(phase: Phase, { job, hookJob }: Facts): JobTags | undefined {
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
