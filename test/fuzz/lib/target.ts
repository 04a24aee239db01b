import type { ErrorCode } from '../../../contracts/errors.ts';

/** A parser of what strangers send. */
export interface FuzzTarget {
  /** Also the folder of its examples in `test/fuzz/corpus`. */
  name: string;
  /**
   * Parses a text, and checks what came out of it.
   *
   * @throws BatonError with one of {@link errors}; anything else is a fault
   */
  run: (text: string) => unknown;
  /** What it may throw; default: nothing. */
  errors?: readonly ErrorCode[];
}
