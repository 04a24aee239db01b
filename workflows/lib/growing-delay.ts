/** A delay that starts with `first` and doubles up to `max`, milliseconds. */
export interface GrowingDelay {
  first: number;
  max: number;
}

/** The delay after so many tries before, counted from 0. */
export function computeDelay({ first, max }: GrowingDelay, tries: number): number {
  return Math.min(first * 2 ** Math.min(tries, 30), max);
}
