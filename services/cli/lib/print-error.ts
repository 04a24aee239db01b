import { BatonError, getErrorMessage, type ErrorCode } from '../../../contracts/errors.ts';
import { ConfigError } from '../../../contracts/lib/load-config.ts';
import { UsageError } from './options.ts';
import { printProblem } from './print.ts';

export const USAGE_HELP = 'Run `baton --help` for usage.';

/** What a person does, where the general help speaks of services, which try again by themselves. */
const HELP: Partial<Record<ErrorCode, string>> = {
  BUS_UNAVAILABLE: 'Check that NATS and the orchestrator run, and nats.url in the configuration.',
  BUS_DENIED: 'Use credentials that may do this: `admin` for pause, resume, drain and apply, else `observer`.',
};

/** Prints what went wrong, and on the next line its code and what to do now. */
export function printError(error: unknown, print: (line: string) => void = printProblem): void {
  // Problems of a configuration begin with file, line and column, which editors and terminals make links of.
  print(error instanceof ConfigError ? error.message : `error: ${getErrorMessage(error)}`);
  if (error instanceof UsageError) print(USAGE_HELP);
  else if (error instanceof BatonError) print(`${error.code}: ${HELP[error.code] ?? error.help}`);
}
