import { DefaultLogger, type LogLevel } from '@temporalio/worker';
import type { Logger } from '../../contracts/lib/log.ts';

const LEVELS: Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'debug',
  WARN: 'warn',
  ERROR: 'error',
};

/** A logger for the Temporal SDK that writes to our log. The SDK's level info becomes debug. */
export function createWorkerLogger(log: Logger): DefaultLogger {
  return new DefaultLogger('INFO', ({ level, message, meta }) => {
    log[LEVELS[level]]({ ...meta, component: 'temporal' }, message);
  });
}
