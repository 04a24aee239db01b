import type { Counter, Histogram } from 'prom-client';
import { BatonError, messageOf, type ErrorCode } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { StreamMessage } from './stream-message.ts';
import { toTemporalReason, classifyTemporalError } from './temporal-errors.ts';
import { ShuttingDown, RetryLater } from './temporal-gate.ts';

/** What can never be handled: it becomes a dead letter at once. */
export class PermanentFailure extends Error {
  readonly code: ErrorCode;

  /** @param reason a sentence for a person */
  constructor(code: ErrorCode, reason: string) {
    super(reason);
    this.name = 'Hopeless';
    this.code = code;
  }
}

/** The runner it is for does not exist. It may yet: it is tried again a few times, then becomes a dead letter. */
export class RunnerMissing extends Error {
  constructor(workflow: string) {
    super(`there is no workflow ${workflow}`);
    this.name = 'RunnerMissing';
  }
}

/** Pauses before the next try for a runner that is missing: a quarter of a minute in all. */
const RUNNER_MISSING_DELAYS_MS = [500, 1000, 2000, 4000, 8000];
const RETRY_LATER_DELAY_MS = 10_000;
const FAULT_DELAY_MS = 5000;
/** Deliveries of a message on which Baton itself fails, until it becomes a dead letter. */
const MAX_FAULTS = 20;

export interface AcknowledgementOptions {
  deadLetters: DeadLetters;
  log: Logger;
  handled: Counter<'stream' | 'result'>;
  seconds: Histogram<'stream'>;
}

/**
 * Makes a handler of `work`: whatever comes out of it, the message is acknowledged, given back for later, or put with the dead
 * letters, and none keeps another from being handled.
 *
 * @param work resolves with the result to count
 */
export function withAcknowledgement(
  options: AcknowledgementOptions,
  work: (message: StreamMessage) => Promise<string>,
): (message: StreamMessage) => Promise<void> {
  const { deadLetters, log, handled, seconds } = options;

  async function deadLetter(message: StreamMessage, code: ErrorCode, reason: string): Promise<string> {
    try {
      await deadLetters.put(message, code, reason);
      message.ack();
      return 'dead';
    } catch (error) {
      log.warn({ subject: message.subject, reason: messageOf(error) }, 'a dead letter could not be kept; trying again');
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
      log.warn({ subject: message.subject, reason: error.message }, 'put aside for a while');
      message.retry(RETRY_LATER_DELAY_MS);
      return 'retry';
    }
    if (error instanceof RunnerMissing) {
      const pause = RUNNER_MISSING_DELAYS_MS[message.deliveries - 1];
      if (pause === undefined) return deadLetter(message, 'RUNNER_UNKNOWN', error.message);
      message.retry(pause);
      return 'retry';
    }
    if (error instanceof PermanentFailure || (error instanceof BatonError && !error.retryable))
      return deadLetter(message, error.code, error.message);
    if (classifyTemporalError(error) === 'refused') {
      return deadLetter(message, 'MESSAGE_INVALID', `Temporal refuses it: ${toTemporalReason(error)}`);
    }
    log.error({ err: error, subject: message.subject }, `handling a message failed: ${messageOf(error)}`);
    if (message.deliveries >= MAX_FAULTS) return deadLetter(message, 'INTERNAL', messageOf(error));
    message.retry(FAULT_DELAY_MS);
    return 'retry';
  }

  return async (message) => {
    const stopClock = seconds.startTimer({ stream: message.stream });
    let result: string;
    try {
      result = await work(message);
      message.ack();
    } catch (error) {
      result = await onError(message, error);
    }
    stopClock();
    handled.inc({ stream: message.stream, result });
  };
}
