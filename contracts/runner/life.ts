import type { Phase } from './phase.ts';

/** A runner's life as it was, from its creation to its end. Pure: workflow code imports this. */
export interface RunnerLife {
  runner: string;
  group: string;
  backend: string;
  /** In order; each lasts until the next, the last until `until`. Milliseconds since the epoch. */
  phases: { phase: Phase; at: number }[];
  until: number;
  /** One sentence for a person: why it ended. */
  detail: string;
  failed: boolean;
  /** Absent where no job ran. */
  job?: { id: number; repository: string } | undefined;
}
