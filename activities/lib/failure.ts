import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { BatonError, messageOf } from '../../contracts/errors.ts';

/**
 * What an activity throws, as Temporal knows it: type = the error's code, non-retryable where the error is. A
 * cancellation stays one. Only messages go over (into histories, for people to read): they hold no secrets.
 */
export function toFailure(error: unknown): Error {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  if (error instanceof BatonError) {
    return ApplicationFailure.create({
      message: `${error.message}. ${error.help}`,
      type: error.code,
      nonRetryable: !error.retryable,
    });
  }
  return ApplicationFailure.create({ message: messageOf(error), type: 'UNEXPECTED' });
}

/** The activities with {@link toFailure} around each. */
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
