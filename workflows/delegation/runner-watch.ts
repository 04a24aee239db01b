import { condition, isCancellation, sleep } from '@temporalio/workflow';
import { computeDelay, type GrowingDelay } from '../lib/growing-delay.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';

/** How long to wait between two looks at the group. */
const OBSERVE_DELAY_MS: GrowingDelay = { first: 300, max: 5000 };

const { observeGroup } = proxySignalActivities('look whether runners are online');
const { signalDelegations } = proxySignalActivities('tell delegations why no runner is online');

/**
 * Looks whether a runner of the group is online, for all delegations that wait for one: with a look each, a thousand delegations would
 * keep Temporal busy with nothing else.
 */
export class RunnerWatch {
  readonly #group: string;
  /** The delegations that wait, and until when, milliseconds since the epoch. */
  readonly #waiting: Map<string, number>;
  /** Those that know the last problem. */
  readonly #informed = new Set<string>();
  #problem: string | null = null;

  constructor(group: string, waiting: readonly [string, number][] = []) {
    this.#group = group;
    this.#waiting = new Map(waiting);
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(delegation: string, until: number): void {
    this.#waiting.set(delegation, until);
  }

  delete(delegation: string): void {
    this.#waiting.delete(delegation);
    this.#informed.delete(delegation);
  }

  clear(): void {
    this.#waiting.clear();
    this.#informed.clear();
  }

  /**
   * Watches until the workflow ends or continues as new.
   *
   * @param onOnline called with the delegations that waited, once a runner is online; or with none, when all have given up
   */
  async run(onOnline: (delegations: string[]) => void): Promise<void> {
    try {
      for (;;) {
        await condition(() => this.size > 0);
        await this.#watch(onOnline);
      }
    } catch (error) {
      if (!isCancellation(error)) throw error;
    }
  }

  toState(): [string, number][] {
    return [...this.#waiting];
  }

  /** Looks at the group until nobody waits any more. */
  async #watch(onOnline: (delegations: string[]) => void): Promise<void> {
    for (let looks = 0; this.size > 0; looks++) {
      const { online, problem } = await observeGroup({ group: this.#group });
      if (online > 0) {
        const delegations = [...this.#waiting.keys()];
        this.clear();
        onOnline(delegations);
        return;
      }
      if (problem !== null) await this.#inform(problem);
      await sleep(computeDelay(OBSERVE_DELAY_MS, looks), { summary: 'no runner is online yet' });
      for (const [delegation, until] of this.#waiting) if (until <= Date.now()) this.delete(delegation);
    }
    onOnline([]);
  }

  async #inform(problem: string): Promise<void> {
    if (problem !== this.#problem) this.#informed.clear();
    this.#problem = problem;
    const ids = [...this.#waiting.keys()].filter((id) => !this.#informed.has(id));
    if (ids.length === 0) return;
    for (const id of ids) this.#informed.add(id);
    await signalDelegations({ ids, events: [{ type: 'no-runner', problem }] });
  }
}
