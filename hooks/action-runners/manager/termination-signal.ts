import type { Logger } from '../../../contracts/lib/log.ts';

/** Fires at this process's first SIGTERM or SIGINT. */
export function createTerminationSignal(log: Logger): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping');
      controller.abort();
    });
  }
  return controller.signal;
}
