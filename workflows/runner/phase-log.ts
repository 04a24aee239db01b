import type { RunnerLife } from '../../contracts/workflows/runner-life.ts';
import type { Phase } from '../../contracts/workflows/phase.ts';

export type PhaseLogState = RunnerLife['phases'];

/** When a runner entered each of its phases, in milliseconds since the epoch. */
export class PhaseLog {
  readonly #phases: PhaseLogState;

  constructor(startedAt: number, carried?: PhaseLogState) {
    this.#phases = carried ?? [{ phase: 'provisioning', at: startedAt }];
  }

  /** Does nothing where the runner is in that phase already. */
  enter(phase: Phase, at: number): void {
    if (phase !== this.#phases.at(-1)?.phase) this.#phases.push({ phase, at });
  }

  toState(): PhaseLogState {
    return [...this.#phases];
  }
}
