import { uuid4 } from '@temporalio/workflow';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import { createRunnerName } from '../../contracts/workflows/runner-name.ts';
import { startRunners } from './activities.ts';
import type { DemandTracker } from './demand-tracker.ts';
import type { Pace } from './pace.ts';
import type { SlotTracker } from './slots.ts';

/** Measured: 500 starts in one workflow task time out; chunks of 50 are as fast as chunks of 10. */
const START_CHUNK = 50;

/** A group, as far as the starts of its runners are concerned. */
export interface StartingGroup {
  demand: DemandTracker;
  slots: SlotTracker;
  pace: Pace;
  /** As they are now. */
  getSettings: () => GroupSettings;
  /** How many runners are missing and may start now. */
  countStartable: () => number;
}

/** The starts of a group's runners, in chunks: each is counted before it is started. */
export class RunnerStarts {
  readonly #group: StartingGroup;
  /** Counted as runners, but perhaps not started yet. */
  #unstarted: readonly string[];

  constructor(group: StartingGroup, carried: readonly string[] = []) {
    this.#group = group;
    this.#unstarted = carried;
  }

  /** Runners that count already, but whose workflows may not exist yet. */
  get unstarted(): readonly string[] {
    return this.#unstarted;
  }

  /** These exist. */
  confirm(runners: ReadonlySet<string>): void {
    this.#unstarted = this.#unstarted.filter((runner) => !runners.has(runner));
  }

  /**
   * Starts the missing runners, as far as there are slots and the forge lets them register soon.
   *
   * @param enough whether to stop and continue later: while signals keep arriving, there is always more to do
   */
  async run(enough: () => boolean): Promise<void> {
    const { demand, slots, pace, getSettings, countStartable } = this.#group;
    if (this.#unstarted.length > 0) {
      // An earlier dispatcher was ended while it started these. They count already.
      await startRunners({ settings: getSettings(), runners: [...this.#unstarted], idle: 0, again: true });
      this.#unstarted = [];
    }
    while (!enough()) {
      const settings = getSettings();
      const count = Math.min(countStartable(), START_CHUNK);
      if (count === 0) return;
      const { waiting, ready } = demand.countRunners(Date.now());
      const idle = Math.max(0, count - Math.max(0, waiting - ready));
      const runners = Array.from({ length: count }, () =>
        createRunnerName(settings.installation, settings.name, uuid4()),
      );
      // Counted before they are started, so that events that arrive meanwhile start no more than `max`.
      demand.addRunners(runners, Date.now());
      slots.use(settings.backend, count);
      this.#unstarted = runners;
      const result = await startRunners({ settings, runners, idle });
      this.#unstarted = [];
      const held = pace.apply(result, count, Date.now());
      if (held === 0) continue;
      demand.dropUnstarted(runners.slice(-held));
      slots.giveBack(settings.backend, held);
    }
  }
}
