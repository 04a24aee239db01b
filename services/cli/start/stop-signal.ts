/** One Ctrl-C may arrive several times: from the terminal, from npm and from run.mjs. */
const SAME_SIGNAL_MS = 700;

export interface StopSignal {
  /** Fires on the first SIGINT, SIGTERM or SIGHUP, and when the parent process has ended. */
  readonly signal: AbortSignal;
  /** Resolves when {@link StopSignal.signal} fires. */
  readonly fired: Promise<void>;
}

/**
 * Listens for signals to stop.
 *
 * @param stopNow called on a second signal
 */
export function listenForStop(stopNow: () => void): StopSignal {
  const controller = new AbortController();
  let first = 0;
  const onSignal = (): void => {
    const now = performance.now();
    if (!controller.signal.aborted) {
      first = now;
      controller.abort();
    } else if (now - first > SAME_SIGNAL_MS) {
      stopNow();
    }
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  // The parent process was killed, and could not pass a signal on: nothing should stay behind.
  const parent = process.ppid;
  const orphaned = setInterval(() => {
    if (process.ppid !== parent && !controller.signal.aborted) onSignal();
  }, 1000);
  orphaned.unref();
  return {
    signal: controller.signal,
    fired: new Promise((resolve) => controller.signal.addEventListener('abort', () => resolve(), { once: true })),
  };
}
