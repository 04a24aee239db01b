import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';
import type { RemovalReason, RunnerOutcome } from '../../contracts/workflows/phase.ts';
import type { RunnerInput } from '../../contracts/workflows/runner.ts';
import type { RunnerLife } from '../../contracts/workflows/runner-life.ts';
import { historyIsFull } from '../lib/history.ts';
import { local } from '../lib/local-activities.ts';
import { recordOwnUse } from './activities.ts';
import type { Facts } from './facts.ts';
import { removeInstance } from './instance-removal.ts';
import { toOutcome } from './outcome.ts';
import type { RunnerRegistration } from './registration.ts';

/** What continue-as-new carries over. */
export interface RemovalState {
  reason: RemovalReason;
  /** The instance is gone, and the dispatcher knows: only the registration is left. */
  instanceGone: boolean;
}

/** What a removal needs of its runner. */
export interface RemovedRunner {
  input: RunnerInput;
  facts: Facts;
  registration: RunnerRegistration;
  reportLeaving: () => Promise<void>;
  /** What its instance was used for until now; `use` is absent where there was none. */
  describe: () => { use: InstanceUse | undefined; life: RunnerLife };
  show: (phase: 'removing' | 'lingering' | 'gone' | 'failed', note: string) => void;
}

/**
 * Removes all that belongs to a runner. The slot belongs to the instance: as soon as that is gone, the dispatcher is told, and
 * whatever the forge says delays only the end of this workflow. No answer of a backend or a forge ends it earlier.
 */
export class RunnerRemoval {
  readonly reason: RemovalReason;
  readonly #runner: RemovedRunner;
  #instanceGone: boolean;

  constructor(runner: RemovedRunner, { reason, instanceGone }: RemovalState) {
    this.#runner = runner;
    this.reason = reason;
    this.#instanceGone = instanceGone;
  }

  /** Whether its group has to count it still. */
  get holdsSlot(): boolean {
    return !this.#instanceGone;
  }

  toState(): RemovalState {
    return { reason: this.reason, instanceGone: this.#instanceGone };
  }

  /** @returns undefined where the history is full first */
  async run(): Promise<RunnerOutcome | undefined> {
    const { input, registration, reportLeaving, show } = this.#runner;
    if (!this.#instanceGone) show('removing', this.#toOutcome().detail);
    let unregistered = false;
    const removing = (async () => {
      unregistered = await registration.remove(() => this.#showProblem(), historyIsFull);
    })();
    if (!this.#instanceGone) {
      const onRefused = (reason: string): void =>
        show('removing', `the backend refuses to delete its instance: ${reason}`);
      const [gone] = await Promise.all([removeInstance(input, onRefused, historyIsFull), reportLeaving()]);
      if (gone) await this.#reportGone();
    }
    if (!unregistered) {
      if (this.#instanceGone) this.#showProblem();
      await removing;
    }
    if (!this.#instanceGone || !unregistered) return undefined;
    const outcome = this.#toOutcome();
    show(outcome.failed ? 'failed' : 'gone', outcome.detail);
    return outcome;
  }

  async #reportGone(): Promise<void> {
    const { input, describe } = this.#runner;
    const { use, life } = describe();
    const reported = await local.reportGone({ group: input.settings.name, outcome: this.#toOutcome(), use, life });
    // Also where there was no dispatcher: one that takes over asks, and doesn't count this runner.
    this.#instanceGone = true;
    // Otherwise the dispatcher records it.
    if (reported === 'missing' && use !== undefined) await recordOwnUse({ uses: [use] });
  }

  /** Shows why the registration is still there, once nothing else is left. */
  #showProblem(): void {
    if (!this.#instanceGone) return;
    const { registration, show } = this.#runner;
    const problem = registration.problem ?? 'the forge has not answered yet';
    show('lingering', `its instance is gone, its registration is not: ${problem}`);
  }

  /** From all facts known by now, including those that arrived during the removal. */
  #toOutcome(): RunnerOutcome {
    const { input, facts } = this.#runner;
    return toOutcome(input.runner, this.reason, facts);
  }
}
