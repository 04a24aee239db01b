import type { Phase } from './phase.ts';

/** How a runner's life went, beside its outcome. Pure: workflow code imports this. */
export interface RunnerLife {
  backend: string;
  /** In order; each lasts until the next, the last until `until`. Milliseconds since the epoch. */
  phases: { phase: Phase; at: number }[];
  until: number;
  /** Absent where no job ran. */
  jobId?: number | undefined;
}
