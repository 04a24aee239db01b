/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm and by run.mjs. */
const SAME_SIGNAL_MS = 700;

export interface StopSignal {
  /** Fires on the first SIGINT, SIGTERM or SIGHUP, and when the program that started us is gone. */
  readonly signal: AbortSignal;
  /** Resolves with it. */
  readonly fired: Promise<void>;
}

/**
 * Listens for the wish to stop.
 *
 * @param hard called on a second wish: end at once
 */
export function listenForStop(hard: () => void): StopSignal {
  const controller = new AbortController();
  let first = 0;
  const wish = (): void => {
    const now = performance.now();
    if (!controller.signal.aborted) {
      first = now;
      controller.abort();
    } else if (now - first > SAME_SIGNAL_MS) {
      hard();
    }
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, wish);
  // Whoever started us was killed without a word: nobody watches any more, and nothing should stay behind.
  const parent = process.ppid;
  const orphaned = setInterval(() => {
    if (process.ppid !== parent && !controller.signal.aborted) wish();
  }, 1000);
  orphaned.unref();
  return {
    signal: controller.signal,
    fired: new Promise((resolve) => controller.signal.addEventListener('abort', () => resolve(), { once: true })),
  };
}
