import type { Stage } from './progress.ts';

/** A re-run that waits until the forge allows it, or for a runner. */
export interface WaitingRerun {
  /** How often in a row the forge did not allow it, because other jobs of the run were running. */
  refusals: number;
  /** When the forge did not allow it first, milliseconds since the epoch. */
  refusedSince: number | undefined;
  /** Set where the forge allows it now: until when it waits for a runner. */
  deadline: number | undefined;
  /** The proxy that took the last re-run. */
  takenBy: string | undefined;
}

/** How far a delegation has come, as JSON: all that a run of its workflow needs to go on where the last one ended. */
export interface Position {
  /** Its job is known, and a runner was requested. */
  found: boolean;
  stage: Stage;
  /** How often the forge was asked in this stage, because no event arrived. */
  looks: number;
  /** Re-runs that were begun: one more than proxies took. */
  reruns: number;
  rerun: WaitingRerun | undefined;
}

export const createPosition = (): Position => ({
  found: false,
  stage: 'held',
  looks: 0,
  reruns: 0,
  rerun: undefined,
});
