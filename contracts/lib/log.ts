import { pino, type DestinationStream, type Logger, type LoggerOptions } from 'pino';

export type { Logger };

/**
 * The JSON log of a process (or, in an instance, of the agent). Field names are the same everywhere: `service`, `group`,
 * `runner`, `instance`, `job` (id), `run`, `repository`, `delivery`, `workflow` (id), `backend`, `code` (of an error), `ms`.
 *
 * @param level the environment variable `LOG_LEVEL` takes precedence; default info
 * @param destination receives each line; default: standard output
 */
export function createLogger(
  service: string,
  level = process.env['LOG_LEVEL'] ?? 'info',
  destination?: DestinationStream,
): Logger {
  const options: LoggerOptions = {
    level,
    base: { service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // A second safeguard: no code logs these on purpose.
    redact: {
      paths: ['*.jitConfig', 'jitConfig', '*.credentials', 'credentials', '*.token', 'token', '*.authorization'],
      censor: '[secret]',
    },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
