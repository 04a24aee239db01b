import { DefaultLogger, makeTelemetryFilterString, Runtime, type LogLevel } from '@temporalio/worker';
import type { Logger } from '../../contracts/lib/log.ts';

const LEVELS: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
};

/** The Temporal SDK's own log as part of ours; its info is our debug. */
export function workerLogger(log: Logger): DefaultLogger {
  return new DefaultLogger('INFO', ({ level, message, meta }) => {
    log[LEVELS[level]]({ ...meta, component: 'temporal' }, message);
  });
}

/** The SDK's runtime for this process: its log, the native part's included, in ours; stopping is ours. Once a process. */
export function installRuntime(log: Logger): void {
  Runtime.install({
    logger: workerLogger(log),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} } },
  });
}
