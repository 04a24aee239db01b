/** The longest timer that Node takes, milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Fires after that time, however long it is; counted by a clock that nobody sets. Holds no process open. */
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

/** Resolves when the signal fires, or has fired. */
export function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
