import { z } from 'zod';

const line = z.looseObject({ level: z.string(), time: z.string(), msg: z.string().optional() });

/** Who wrote it: the same in every line, so not told. */
const HIDDEN = new Set(['level', 'time', 'msg', 'service', 'pid', 'err']);

/**
 * Where log lines go with `RUNNER_LOGGER_DEV_MODE`: to standard error, for people.
 *
 * @example `12:03:44 DEBUG   started name=build status={"pid":17}`
 */
export const developmentLog = {
  write(json: string): void {
    const { level, time, msg = '', ...rest } = line.parse(JSON.parse(json));
    const facts = Object.entries(rest)
      .filter(([key]) => !HIDDEN.has(key))
      .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    process.stderr.write(`${time.slice(11, 19)} ${level.toUpperCase().padEnd(7)} ${msg}${facts.join('')}\n`);
  },
};
