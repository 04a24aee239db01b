import type { Phase } from './phase.ts';

/** The phases of a runner's life. Pure: workflow code imports this. */
export interface RunnerLife {
  backend: string;
  /** In order; each lasts until the next, the last until `until`. Milliseconds since the epoch. */
  phases: { phase: Phase; at: number }[];
  until: number;
  /** Absent where no job ran. */
  jobId?: number | undefined;
}
