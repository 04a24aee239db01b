import { assert, type IPropertyWithHooks, type Parameters } from 'fast-check';

/** The same cases in every run: a property that fails for one case in a million fails on the day it is looked for. */
const SEED = 20_260_101;
const CASES = 1000;

/**
 * Checks a property. `BATON_SEED` gives other cases, `BATON_CASES` more of them; a failure prints its seed and path, and the
 * smallest case that fails.
 */
export function checkProperty<T>(property: IPropertyWithHooks<T>, parameters: Parameters<T> = {}): void {
  const seed = Number(process.env['BATON_SEED'] ?? SEED);
  const numRuns = Number(process.env['BATON_CASES'] ?? CASES);
  assert(property, { seed, numRuns, ...parameters });
}
