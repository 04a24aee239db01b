import type { Worker } from '@temporalio/worker';

/** Temporal workers that start, run and stop together. */
export class WorkerSet {
  readonly #workers: readonly Worker[];

  constructor(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  /** Runs all workers; they finish their work when `stop` fires. Rejects when one of them cannot go on. */
  async run(stop: AbortSignal): Promise<void> {
    const running = Promise.all(this.#workers.map((worker) => worker.run()));
    const shutDown = (): void => {
      for (const worker of this.#workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    };
    stop.addEventListener('abort', shutDown, { once: true });
    if (stop.aborted) shutDown();
    await running;
  }

  /** Whether every worker takes tasks. */
  areRunning(): boolean {
    return this.#workers.every((worker) => worker.getState() === 'RUNNING');
  }
}
