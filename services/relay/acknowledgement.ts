import type { Counter, Histogram } from 'prom-client';
import { BatonError, getErrorMessage, type ErrorCode } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { DeadLetters } from './dead-letters.ts';
import { PermanentFailure, RetryLater, RunnerMissing, ShuttingDown } from './message-errors.ts';
import type { StreamMessage } from './stream-message.ts';
import { classifyTemporalError, toTemporalReason } from './temporal-errors.ts';

/** Delays before each retry for a runner that does not exist (yet): about 15 s in all. */
const RUNNER_MISSING_DELAYS_MS = [500, 1000, 2000, 4000, 8000];
const RETRY_LATER_DELAY_MS = 10_000;
const FAULT_DELAY_MS = 5000;
/** After this many deliveries, a message on which Baton itself fails becomes a dead letter. */
const MAX_FAULTS = 20;

export interface AcknowledgementOptions {
  deadLetters: DeadLetters;
  log: Logger;
  handled: Counter<'stream' | 'result'>;
  seconds: Histogram<'stream'>;
  /** Whether the message may become a dead letter; otherwise it is dropped. Default: each may. */
  admitDeadLetter?: (message: StreamMessage, code: ErrorCode) => boolean;
}

/**
 * Wraps `work` in a handler that always answers the stream: it acknowledges the message, returns it for a later retry,
 * or stores it as a dead letter. One message never blocks another.
 *
 * @param work resolves with the result to count
 */
export function withAcknowledgement(
  options: AcknowledgementOptions,
  work: (message: StreamMessage) => Promise<string>,
): (message: StreamMessage) => Promise<void> {
  const { deadLetters, log, handled, seconds, admitDeadLetter = () => true } = options;

  async function deadLetter(message: StreamMessage, code: ErrorCode, reason: string): Promise<string> {
    if (!admitDeadLetter(message, code)) {
      message.ack();
      return 'dropped';
    }
    try {
      await deadLetters.put(message, code, reason);
      message.ack();
      return 'dead';
    } catch (error) {
      log.warn(
        { subject: message.subject, reason: getErrorMessage(error) },
        'cannot store the dead letter; will retry',
      );
      message.retry(FAULT_DELAY_MS);
      return 'retry';
    }
  }

  async function onError(message: StreamMessage, error: unknown): Promise<string> {
    if (error instanceof ShuttingDown) {
      message.retry(0);
      return 'interrupted';
    }
    if (error instanceof RetryLater) {
      log.warn({ subject: message.subject, reason: error.message }, 'message not delivered; will retry later');
      message.retry(RETRY_LATER_DELAY_MS);
      return 'retry';
    }
    if (error instanceof RunnerMissing) {
      const delay = RUNNER_MISSING_DELAYS_MS[message.deliveries - 1];
      if (delay === undefined) return deadLetter(message, 'RUNNER_UNKNOWN', error.message);
      message.retry(delay);
      return 'retry';
    }
    if (error instanceof PermanentFailure || (error instanceof BatonError && !error.retryable))
      return deadLetter(message, error.code, error.message);
    if (classifyTemporalError(error) === 'refused') {
      return deadLetter(message, 'MESSAGE_INVALID', `Temporal rejected the message: ${toTemporalReason(error)}`);
    }
    log.error({ err: error, subject: message.subject }, 'handling a message failed');
    if (message.deliveries >= MAX_FAULTS) return deadLetter(message, 'INTERNAL', getErrorMessage(error));
    message.retry(FAULT_DELAY_MS);
    return 'retry';
  }

  return async (message) => {
    const stopTimer = seconds.startTimer({ stream: message.stream });
    let result: string;
    try {
      result = await work(message);
      message.ack();
    } catch (error) {
      result = await onError(message, error);
    }
    stopTimer();
    handled.inc({ stream: message.stream, result });
  };
}
