import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits before the next attempt: `firstMs`, doubled with each attempt up to `maxMs`. Half of the wait is random, so that a
 * thousand clients do not reconnect at the same moment after an outage.
 *
 * @param attempt 0 for the first wait
 * @throws the signal's reason when `abort` fires
 */
export async function backoff(
  attempt: number,
  options: { firstMs: number; maxMs: number; abort?: AbortSignal | undefined },
): Promise<void> {
  const full = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt, 20));
  await sleep(full / 2 + (Math.random() * full) / 2, undefined, options.abort ? { signal: options.abort } : {});
}
