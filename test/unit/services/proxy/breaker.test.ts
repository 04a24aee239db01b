import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BreakerOpen, HandOverBreaker, OrchestratorUnavailable } from '../../../../services/proxy/breaker.ts';

const PAUSE_MS = 30_000;
const fail = (): Promise<never> => Promise.reject(new OrchestratorUnavailable('no answer'));

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Runs a request to its end, with the pauses between its retries. */
async function execute(breaker: HandOverBreaker, request: () => Promise<string>): Promise<unknown> {
  const result = breaker.execute(request).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(10_000);
  return await result;
}

describe('the breaker of a proxy', () => {
  it('opens after three jobs without an answer, lets one job ask again after its pause, and closes with the answer', async () => {
    const breaker = new HandOverBreaker(PAUSE_MS);
    for (let job = 0; job < 3; job++) {
      expect(breaker.open).toBe(false);
      expect(await execute(breaker, fail)).toBeInstanceOf(OrchestratorUnavailable);
    }
    const { connectionFailures } = breaker.counts;
    expect(breaker.open).toBe(true);
    expect(await execute(breaker, fail)).toBeInstanceOf(BreakerOpen);
    expect(breaker.counts).toEqual({ handedOver: 0, failed: 4, heldBack: 1, connectionFailures });
    await vi.advanceTimersByTimeAsync(PAUSE_MS);
    expect(await execute(breaker, () => Promise.resolve('accepted'))).toBe('accepted');
    expect(breaker.open).toBe(false);
    expect(breaker.counts).toMatchObject({ handedOver: 1, failed: 4, heldBack: 1 });
  });

  it('does not open when the orchestrator answers that it refuses the jobs', async () => {
    const breaker = new HandOverBreaker(PAUSE_MS);
    for (let job = 0; job < 5; job++) await execute(breaker, () => Promise.reject(new Error('refused')));
    expect(breaker).toMatchObject({ open: false, counts: { failed: 5, heldBack: 0, connectionFailures: 0 } });
  });
});
