import { isGrpcServiceError } from '@temporalio/client';
import { messageOf } from '../../contracts/errors.ts';

/** gRPC's status codes that are told apart here. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;

/**
 * What an error of a call to Temporal means for the message it carried:
 * - `closed`: the workflow ran and is over
 * - `missing`: there is no such workflow
 * - `refused`: this very message will never be taken
 * - `full`: this workflow takes no more for now; others do
 * - `unavailable`: Temporal as a whole can't be used now: away, overloaded, or not set up for us
 */
export type TemporalErrorClass = 'closed' | 'missing' | 'refused' | 'full' | 'unavailable';

/** Tells them apart. What isn't known to be about one message or one workflow is `unavailable`, so that nothing is lost by mistake. */
export function classifyTemporalError(error: unknown): TemporalErrorClass {
  const answer = findGrpcAnswer(error);
  // An error that never reached a server: the message could not be put into a request.
  if (answer === undefined)
    return error instanceof TypeError || error instanceof RangeError ? 'refused' : 'unavailable';
  const { code, details } = answer;
  if (code === NOT_FOUND) {
    // Both kinds have the same code and the same class; only the words differ.
    if (/already completed/i.test(details)) return 'closed';
    return /namespace/i.test(details) ? 'unavailable' : 'missing';
  }
  if (code === INVALID_ARGUMENT) {
    // Signals beyond the limit of one run: its worker was away for long; the next run takes them.
    if (/exceeded workflow execution limit/i.test(details)) return 'full';
    // Search attributes are made when the orchestrator starts first.
    return /search attribute/i.test(details) ? 'unavailable' : 'refused';
  }
  return 'unavailable';
}

/** What the server said, for logs. */
export function toTemporalReason(error: unknown): string {
  const answer = findGrpcAnswer(error);
  return answer === undefined ? messageOf(error) : answer.details || messageOf(error);
}

function findGrpcAnswer(error: unknown): { code: number; details: string } | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return { code: cause.code, details: cause.details };
  }
  return undefined;
}
