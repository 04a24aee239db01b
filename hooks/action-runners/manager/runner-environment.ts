import { z } from 'zod';
import { BatonError } from '../../../contracts/errors.ts';
import { parseGoDuration } from './go-duration.ts';
import { describeWrongFields } from '../../../contracts/lib/schema-errors.ts';

const PLATFORM = 'RUNNER_CONTEXT_PLATFORM_';

const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const FALSE = ['', '0', 'f', 'F', 'false', 'FALSE', 'False'];

const environment = z.object({
  RUNNER_INPUT_MANIFEST_PATH: z.string('is not set').min(1, 'is empty'),
  RUNNER_CONTEXT_NAME: z
    .string('is not set')
    .max(253, 'is longer than 253 characters')
    .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'is not a name of a-z, 0-9, "-" and "."'),
  RUNNER_LOGGER_DEV_MODE: z.enum([...TRUE, ...FALSE], 'is neither true nor false').default('false'),
  RUNNER_TIMEOUT: z
    .string()
    .default('0')
    .transform((text, { issues }) => {
      const ms = parseGoDuration(text);
      if (ms === undefined)
        issues.push({ code: 'custom', input: text, message: 'is not a duration such as 90s or 1h30m' });
      return ms;
    }),
});

/** The `RUNNER_*` variables. */
export interface RunnerEnvironment {
  manifest: string;
  name: string;
  platform: Record<string, string>;
  devMode: boolean;
  timeoutMs: number | undefined;
}

/**
 * Reads the `RUNNER_*` variables.
 *
 * @throws BatonError CONFIG_INVALID, which names all wrong variables
 */
export function readRunnerEnvironment(env: NodeJS.ProcessEnv): RunnerEnvironment {
  const parsed = environment.safeParse(env);
  if (!parsed.success) {
    throw new BatonError('CONFIG_INVALID', `reading the environment: ${describeWrongFields(parsed.error)}`);
  }
  const { RUNNER_TIMEOUT: timeout } = parsed.data;
  return {
    manifest: parsed.data.RUNNER_INPUT_MANIFEST_PATH,
    name: parsed.data.RUNNER_CONTEXT_NAME,
    platform: readPlatform(env),
    devMode: isDevMode(env),
    timeoutMs: timeout === 0 ? undefined : timeout,
  };
}

/** Whether `RUNNER_LOGGER_DEV_MODE` asks for a log in a form for people. */
export function isDevMode(env: NodeJS.ProcessEnv): boolean {
  return TRUE.includes(env['RUNNER_LOGGER_DEV_MODE'] ?? '');
}

/** All `RUNNER_CONTEXT_PLATFORM_*` variables that are not empty, by their names without the prefix. */
export function readPlatform(env: NodeJS.ProcessEnv): Record<string, string> {
  const entries = Object.entries(env).flatMap(([key, value]): [string, string][] =>
    key.startsWith(PLATFORM) && key !== PLATFORM && value ? [[key.slice(PLATFORM.length), value]] : [],
  );
  return Object.fromEntries(entries);
}
