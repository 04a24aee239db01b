/**
 * How fast a group's runners may start: an instance that cannot be registered soon is not made yet, since it would only cost
 * money. Pure: workflow code imports this.
 */

/** The answer to "may these runners start now?". */
export interface StartResult {
  /** How many of the runners were started, the first ones; the others must ask again. */
  started: number;
  /** When to ask again for the others, ISO 8601; null where all were started. */
  nextAt: string | null;
  /** Registrations a minute that the forge allows in the group's scope; null: no limit known. */
  perMinute: number | null;
  /** Why the others have to wait, one clause: `GitHub lets 180 a minute register`; null where all were started. */
  reason: string | null;
}

/** A group whose starts are held back. */
export interface GroupPace {
  /** How many runners are held back. */
  heldBack: number;
  /** When the next of them may start, ISO 8601. */
  until: string;
  perMinute: number | null;
  reason: string;
}

/**
 * `120 of 500 started; GitHub lets 180 a minute register`
 *
 * @param runners that the group has now
 */
export function describePace({ heldBack, reason }: Pick<GroupPace, 'heldBack' | 'reason'>, runners: number): string {
  return `${runners} of ${runners + heldBack} started; ${reason}`;
}
