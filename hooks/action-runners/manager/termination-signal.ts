import type { Logger } from '../../../contracts/lib/log.ts';

/** @returns a signal that fires when this process receives SIGTERM or SIGINT */
export function createTerminationSignal(log: Logger): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping after a signal');
      controller.abort();
    });
  }
  return controller.signal;
}
