import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { toFailure } from '../../../../activities/lib/failure.ts';
import { BatonError } from '../../../../contracts/errors.ts';

describe('the failure of an activity', () => {
  it('has the error’s code as its type, and is retryable where the error is', () => {
    expect(toFailure(new BatonError('FORGE_REFUSED', 'removing r1'))).toMatchObject({
      type: 'FORGE_REFUSED',
      nonRetryable: true,
      message: expect.stringContaining('removing r1. '),
    });
    expect(toFailure(new BatonError('FORGE_UNAVAILABLE', 'removing r1'))).toMatchObject({ nonRetryable: false });
  });

  it('is retried when the error says, within five minutes', () => {
    const limited = (retryAfterMs: number) =>
      toFailure(new BatonError('FORGE_RATE_LIMITED', 'removing r1', { details: { retryAfterMs } }));
    expect(limited(42_000)).toMatchObject({ nextRetryDelay: 42_000 });
    expect(limited(3_600_000)).toMatchObject({ nextRetryDelay: 300_000 });
    expect(toFailure(new BatonError('FORGE_UNAVAILABLE', 'x'))).toMatchObject({ nextRetryDelay: undefined });
  });

  it('stays a cancellation', () => {
    const cancelled = new CancelledFailure('cancelled');
    expect(toFailure(cancelled)).toBe(cancelled);
    expect(toFailure(new Error('x'))).toBeInstanceOf(ApplicationFailure);
  });
});
