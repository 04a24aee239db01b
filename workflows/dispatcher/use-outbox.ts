import { condition, isCancellation } from '@temporalio/workflow';
import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';

/** How long uses gather before they are recorded: one activity adds the same few events for one use as for hundreds. */
const GATHER_MS = 5000;
const MAX_BATCH = 200;
/**
 * Uses that are kept while NATS does not answer. Without NATS no job reaches a runner, so that far fewer instances end: this only
 * bounds the state that continue-as-new carries over.
 */
const MAX_USES = 20_000;

const { recordUses } = proxySignalActivities('record what instances were used for');

/** What the group's ended instances were used for, until it is recorded: in the background, so that no start waits for it. */
export class UseOutbox {
  readonly #uses: Map<string, InstanceUse>;

  constructor(uses: readonly InstanceUse[] = []) {
    this.#uses = new Map(uses.map((use) => [use.runner, use]));
  }

  get size(): number {
    return this.#uses.size;
  }

  add(use: InstanceUse): void {
    this.#uses.set(use.runner, use);
    if (this.#uses.size <= MAX_USES) return;
    const [oldest] = this.#uses.keys();
    if (oldest !== undefined) this.#uses.delete(oldest);
  }

  /**
   * Records all uses until the workflow ends or continues as new. An activity that is running then may record its uses although the
   * next run records them again: each runner counts once.
   *
   * @param atOnce whether to record without gathering
   */
  async run(atOnce: () => boolean): Promise<void> {
    try {
      for (;;) {
        await condition(() => this.#uses.size > 0);
        const full = (): boolean => atOnce() || this.#uses.size >= MAX_BATCH;
        if (!full()) await condition(full, GATHER_MS, { summary: 'gathers uses of instances' });
        const uses = [...this.#uses.values()].slice(0, MAX_BATCH);
        await recordUses({ uses });
        for (const { runner } of uses) this.#uses.delete(runner);
      }
    } catch (error) {
      // The activity is retried for as long as it takes: only a cancellation of the dispatcher ends it.
      if (!isCancellation(error)) throw error;
    }
  }

  toState(): InstanceUse[] {
    return [...this.#uses.values()];
  }
}
