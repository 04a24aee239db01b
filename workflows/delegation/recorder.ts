import { CancellationScope } from '@temporalio/workflow';
import type { DelegationRecord } from '../../contracts/ports/signal-activities.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';

const { recordDelegation } = proxySignalActivities('record the state and the steps');

/**
 * Records a delegation's states and steps in the background, in order: the delegation goes on although the bus does not answer. What
 * gathers while one activity is running goes into the next one together.
 */
export class Recorder {
  #waiting: DelegationRecord[] = [];
  #running: Promise<void> | undefined;

  /** @param later whether it may wait for the next record, or for {@link Recorder.finish} */
  add(record: DelegationRecord, { later }: { later: boolean }): void {
    this.#waiting.push(record);
    if (!later) this.#start();
  }

  /** Resolves when everything is recorded. */
  async finish(): Promise<void> {
    this.#start();
    await this.#running;
  }

  #start(): void {
    if (this.#waiting.length === 0) return;
    // A cancelled delegation is recorded, too.
    this.#running ??= CancellationScope.nonCancellable(() => this.#recordAll());
  }

  async #recordAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const records = this.#waiting;
      this.#waiting = [];
      await recordDelegation({ records });
    }
    this.#running = undefined;
  }
}
