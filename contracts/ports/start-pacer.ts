import type { ForgeScope } from './forge.ts';

/** Runners that should start now. */
export interface WantedStarts {
  /** For jobs that wait. */
  jobs: number;
  /** To be kept idle; they yield to those that jobs wait for. */
  idle: number;
}

/** How many of them may start. */
export interface StartAllowance {
  allowed: number;
  /** When to ask again for the others, milliseconds since the epoch; null where all may start. */
  nextAt: number | null;
  /** Registrations a minute that the forge allows there; null: no limit known. */
  perMinute: number | null;
  /** Why the others have to wait, one clause for people; null where all may start. */
  reason: string | null;
}

/** Starts no more runners than the forge lets register, over all groups of a scope and all orchestrators. */
export interface StartPacer {
  /** Counts as many of these starts as may be made now. */
  take(scope: ForgeScope, group: string, wanted: WantedStarts): Promise<StartAllowance>;
}
