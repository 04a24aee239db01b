import { isGrpcServiceError } from '@temporalio/client';
import { getErrorMessage } from '../../contracts/errors.ts';

/** The gRPC status codes that matter here. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;

/**
 * What an error of a call to Temporal means for the message it carried:
 * - `closed`: the workflow has ended
 * - `missing`: the workflow does not exist
 * - `refused`: Temporal will never accept this message
 * - `full`: this workflow accepts no more signals for now; others do
 * - `unavailable`: Temporal as a whole cannot be used now: no connection, overloaded, or not set up for Baton yet
 */
export type TemporalErrorClass = 'closed' | 'missing' | 'refused' | 'full' | 'unavailable';

/**
 * Classifies an error. An error that is not known to concern one message or workflow is `unavailable`: no message is
 * lost by mistake.
 */
export function classifyTemporalError(error: unknown): TemporalErrorClass {
  const answer = findGrpcAnswer(error);
  // The error never reached a server: the client could not build a request from the message.
  if (answer === undefined)
    return error instanceof TypeError || error instanceof RangeError ? 'refused' : 'unavailable';
  const { code, details } = answer;
  if (code === NOT_FOUND) {
    // Both errors have the same code and class; only the text differs.
    if (/already completed/i.test(details)) return 'closed';
    return /namespace/i.test(details) ? 'unavailable' : 'missing';
  }
  if (code === INVALID_ARGUMENT) {
    // The run has reached its limit of signals because no worker was running for long; the next run accepts them.
    if (/exceeded workflow execution limit/i.test(details)) return 'full';
    // The orchestrator creates the search attributes when it starts for the first time.
    return /search attribute/i.test(details) ? 'unavailable' : 'refused';
  }
  return 'unavailable';
}

/** The server's own text where there is one, for logs. */
export function toTemporalReason(error: unknown): string {
  const answer = findGrpcAnswer(error);
  return answer === undefined ? getErrorMessage(error) : answer.details || getErrorMessage(error);
}

function findGrpcAnswer(error: unknown): { code: number; details: string } | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return { code: cause.code, details: cause.details };
  }
  return undefined;
}
