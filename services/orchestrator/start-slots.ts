import type { CustomSlotSupplier, SlotPermit, SlotReserveContext, WorkflowSlotInfo } from '@temporalio/worker';

export interface StartSlotsOptions {
  /** How many workflow tasks the worker has at a time. */
  total: number;
  /** Of these, how many only the first tasks of new workflows get. */
  kept: number;
}

/**
 * The slots for workflow tasks of a worker, some of them kept for workflows that start in this process: Temporal hands the first
 * task of such a workflow out with the answer to its start, where the worker has a slot. Otherwise it waits in the task queue,
 * behind thousands of tasks where thousands of workflows have just had a signal.
 */
export class StartSlots implements CustomSlotSupplier<WorkflowSlotInfo> {
  readonly type = 'custom';
  readonly #options: StartSlotsOptions;
  #used = 0;
  /** What gives a slot to each waiting poll, the oldest first. */
  readonly #waiting = new Set<() => void>();

  constructor(options: StartSlotsOptions) {
    this.#options = options;
  }

  /** Slots left for tasks that are polled for: 0 where only kept ones are free, since the worker is full then. */
  get available(): number {
    return Math.max(0, this.#options.total - this.#options.kept - this.#used);
  }

  /** A slot for a task that will be polled for. Rejects with the signal's reason where it is no longer needed. */
  reserveSlot(_context: SlotReserveContext, signal: AbortSignal): Promise<SlotPermit> {
    return new Promise((resolve, reject) => {
      const grant = (): void => {
        signal.removeEventListener('abort', giveUp);
        this.#used += 1;
        resolve({});
      };
      const giveUp = (): void => {
        this.#waiting.delete(grant);
        reject(getReason(signal));
      };
      if (signal.aborted) {
        giveUp();
        return;
      }
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiting.add(grant);
      this.#grant();
    });
  }

  /** A slot for the first task of a workflow that is about to start; null where none is free. */
  tryReserveSlot(): SlotPermit | null {
    if (this.#used >= this.#options.total) return null;
    this.#used += 1;
    return {};
  }

  markSlotUsed(): void {
    // A slot counts from its reservation.
  }

  releaseSlot(): void {
    this.#used -= 1;
    this.#grant();
  }

  /** First come, first served. */
  #grant(): void {
    for (const grant of this.#waiting) {
      if (this.available === 0) return;
      this.#waiting.delete(grant);
      grant();
    }
  }
}

/** The SDK expects that very value. */
function getReason(signal: AbortSignal): unknown {
  return signal.reason;
}
