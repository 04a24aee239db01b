import { setTimeout as sleep } from 'node:timers/promises';
import { getErrorMessage } from '../../contracts/errors.ts';

/** Less than a test may take, so that what was waited for is said. */
const TIMEOUT_MS = 110_000;
const INTERVAL_MS = 50;

export interface UntilOptions {
  /** What is waited for, for the error's message. */
  what?: string;
  timeoutMs?: number;
}

/**
 * Runs `check` again and again until it neither throws nor returns false.
 *
 * @returns what it returned
 * @throws what the last check threw, with what was waited for and for how long
 */
export async function until<T>(check: () => T | Promise<T>, options: UntilOptions = {}): Promise<Exclude<T, false>> {
  const { what, timeoutMs = TIMEOUT_MS } = options;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      const result = await withTimeout(check, deadline - Date.now());
      if (isNotFalse(result)) return result;
      throw new Error('the check returned false');
    } catch (error) {
      if (Date.now() >= deadline) throw explain(error, `waited ${timeoutMs / 1000} s${what ? ` until ${what}` : ''}`);
    }
    await sleep(INTERVAL_MS);
  }
}

function isNotFalse<T>(value: T): value is Exclude<T, false> {
  return value !== false;
}

async function withTimeout<T>(check: () => T | Promise<T>, timeoutMs: number): Promise<T> {
  const done = new AbortController();
  const timeout = sleep(Math.max(timeoutMs, 0), undefined, { signal: done.signal }).then(() => {
    throw new Error('the check did not end');
  });
  try {
    return await Promise.race([(async () => check())(), timeout]);
  } finally {
    done.abort();
  }
}

/** The same error, so that the difference that an assertion found is shown. */
function explain(error: unknown, waited: string): Error {
  const explained = error instanceof Error ? error : new Error(getErrorMessage(error));
  explained.message = `${waited}: ${explained.message}`;
  return explained;
}
