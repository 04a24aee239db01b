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

/** Temporal cannot accept the request yet: the message returns to the stream for a while. */
export class RetryLater extends Error {
  constructor(cause: unknown) {
    super(`Temporal cannot accept the request yet: ${toTemporalReason(cause)}`, { cause });
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
