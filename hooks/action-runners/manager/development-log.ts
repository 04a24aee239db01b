import { z } from 'zod';

const line = z.looseObject({ level: z.string(), time: z.string(), msg: z.string().optional() });

/** Fields that are the same in every line, or printed in another form. */
const HIDDEN = new Set(['level', 'time', 'msg', 'service', 'pid', 'err']);

/**
 * The destination of log lines with `RUNNER_LOGGER_DEV_MODE`: standard error, in a form for people.
 *
 * @example `12:03:44 DEBUG   action started name=build status={"pid":17}`
 */
export const developmentLog = {
  write(json: string): void {
    const { level, time, msg = '', ...rest } = line.parse(JSON.parse(json));
    const fields = Object.entries(rest)
      .filter(([key]) => !HIDDEN.has(key))
      .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    process.stderr.write(`${time.slice(11, 19)} ${level.toUpperCase().padEnd(7)} ${msg}${fields.join('')}\n`);
  },
};
