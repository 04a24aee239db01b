import { activityInfo } from '@temporalio/activity';
import type { AsyncCompletionClient } from '@temporalio/client';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { Confirm } from '../../contracts/ports/backend.ts';

/**
 * Makes a check, for an activity, that Temporal has not given its work to another worker: a process that was stopped, or cut off, for
 * longer than a heartbeat may be late goes on where it was, and does not know. A young attempt is certainly the current one, so that
 * most activities ask nothing.
 *
 * @returns throws BatonError BACKEND_UNAVAILABLE, which nobody waits for any more, where the attempt is out of date, is cancelled, or
 *   where Temporal does not answer
 */
export function createAttemptCheck(client: Pick<AsyncCompletionClient, 'heartbeat'>): Confirm {
  return async () => {
    const { taskToken, activityType, attempt, currentAttemptScheduledTimestampMs, heartbeatTimeoutMs } = activityInfo();
    // By two machines' clocks: where they differ, the server is asked.
    const age = Math.abs(Date.now() - currentAttemptScheduledTimestampMs);
    if (heartbeatTimeoutMs !== undefined && age < heartbeatTimeoutMs / 2) return;
    try {
      await client.heartbeat(taskToken);
    } catch (error) {
      const reason = getErrorMessage(error);
      throw new BatonError(
        'BACKEND_UNAVAILABLE',
        `${activityType}: attempt ${attempt} may be out of date, and changes nothing: ${reason}`,
        { cause: error },
      );
    }
  };
}
