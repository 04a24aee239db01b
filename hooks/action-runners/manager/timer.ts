/** The longest timeout that Node's timers support, milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * A signal that fires after `ms`, also after more than 24 days. Uses a monotonic clock; does not keep the process
 * alive.
 */
export function createTimeoutSignal(ms: number): AbortSignal {
  const controller = new AbortController();
  const end = performance.now() + ms;
  const arm = (): void => {
    const left = end - performance.now();
    if (left <= 0) controller.abort();
    else setTimeout(arm, Math.min(left, MAX_TIMER_MS)).unref();
  };
  arm();
  return controller.signal;
}

/** Resolves when the signal has fired. */
export function waitForAbort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
