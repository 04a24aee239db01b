import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';

/** A limit may end sooner than was said, and a forge's clock may be wrong. */
const MAX_RETRY_DELAY_MS = 300_000;

/**
 * Converts what an activity throws to a Temporal failure: its type is the error's code, and it is non-retryable where
 * the error is. A cancellation stays a cancellation. Only the message goes into the history, and messages hold no
 * secrets.
 */
export function toFailure(error: unknown): Error {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  if (error instanceof BatonError) {
    return ApplicationFailure.create({
      message: `${error.message}. ${error.help}`,
      type: error.code,
      nonRetryable: !error.retryable,
      ...toRetryDelay(error.details['retryAfterMs']),
    });
  }
  return ApplicationFailure.create({ message: getErrorMessage(error), type: 'UNEXPECTED' });
}

/** An error may say when to try again: earlier attempts would only fail. */
function toRetryDelay(retryAfterMs: unknown): { nextRetryDelay?: number } {
  return typeof retryAfterMs === 'number' ? { nextRetryDelay: Math.min(retryAfterMs, MAX_RETRY_DELAY_MS) } : {};
}

/** Wraps each activity so that it throws what {@link toFailure} returns. */
export function withFailures<T extends object>(activities: T): T {
  const guarded = Object.entries(activities).map(([name, activity]: [string, unknown]) => {
    if (typeof activity !== 'function') return [name, activity];
    const guard = async (...args: unknown[]): Promise<unknown> => {
      try {
        return await Promise.resolve(Reflect.apply(activity, undefined, args));
      } catch (error) {
        throw toFailure(error);
      }
    };
    return [name, guard];
  });
  return Object.assign({ ...activities }, Object.fromEntries(guarded));
}
