import type { ErrorCode } from '../../contracts/errors.ts';
import { toTemporalReason } from './temporal-errors.ts';

/** The message can never be handled: it becomes a dead letter at once. */
export class PermanentFailure extends Error {
  readonly code: ErrorCode;

  /** @param reason one sentence for the operator */
  constructor(code: ErrorCode, reason: string) {
    super(reason);
    this.name = 'PermanentFailure';
    this.code = code;
  }
}

/**
 * The runner's workflow does not exist, but may start soon: the relay retries a few times, then stores a dead letter.
 */
export class RunnerMissing extends Error {
  constructor(workflow: string) {
    super(`workflow ${workflow} does not exist`);
    this.name = 'RunnerMissing';
  }
}

/** The message cannot be handled yet, mostly by Temporal: it returns to the stream for a while. */
export class RetryLater extends Error {
  /** @param reason default: why Temporal cannot accept the request */
  constructor(cause: unknown, reason = `Temporal cannot accept the request yet: ${toTemporalReason(cause)}`) {
    super(reason, { cause });
    this.name = 'RetryLater';
  }
}

/** The relay is shutting down: the message returns to the stream. */
export class ShuttingDown extends Error {
  constructor() {
    super('the relay is shutting down');
    this.name = 'ShuttingDown';
  }
}
