/** What a dispatcher that starts without state takes over from the one before it. Pure: workflow code imports this. */

/** Query of a dispatcher; answers its whole state, which only a dispatcher understands. A dispatcher that has ended answers, too. */
export const DISPATCHER_STATE = 'dispatcherState';

/** Query of a runner, with a fingerprint of its group's settings; answers {@link RunnerSlot}. */
export const RUNNER_SLOT = 'runnerSlot';

/** A runner as its group's dispatcher has to count it. */
export interface RunnerSlot {
  /** Whether it still has a slot: it has not reported yet that its instance is gone. */
  held: boolean;
  /** When it was created, milliseconds since the epoch. */
  since: number;
  backend: string;
  busy: boolean;
  /** It serves no job any more, though its instance still exists. */
  leaving: boolean;
  /** Created with settings of another fingerprint. */
  outdated: boolean;
  /** The key of its job, once the forge has reported it. */
  job: string | null;
  /** The key of its job's run, where only the runner's own hook has reported so far. */
  run: string | null;
}

/** A running runner of a group. */
export interface AdoptedRunner extends RunnerSlot {
  runner: string;
}

export interface Takeover {
  /** Of the group's last dispatcher, where that was ended from outside and still answers: its state, {@link DISPATCHER_STATE}. */
  state: unknown;
  /** All runners of the group that are running. */
  runners: AdoptedRunner[];
}
