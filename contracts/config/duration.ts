import { z } from 'zod';

const UNITS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
const SIZES = new Map([
  ['B', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
  ['TiB', 1024 ** 4],
]);

function inUnits(text: string, units: ReadonlyMap<string, number>): number {
  const number = Number.parseFloat(text);
  return Math.round(number * (units.get(text.replace(/^[\d.]+/, '')) ?? Number.NaN));
}

/** Durations as people write them: `500ms`, `30s`, `10m`, `12h`, `5d`. Parsed to milliseconds. */
export const duration = z
  .string()
  .regex(/^\d+(ms|s|m|h|d)$/, 'expected a duration such as 30s, 10m or 12h')
  .transform((text) => inUnits(text, UNITS))
  .refine((ms) => ms > 0, 'must be longer than 0');

/** Sizes as people write them: `512MiB`, `4GiB`. Parsed to bytes. */
export const byteSize = z
  .string()
  .regex(/^\d+(\.\d+)?(B|KiB|MiB|GiB|TiB)$/, 'expected a size such as 512MiB or 4GiB')
  .transform((text) => inUnits(text, SIZES))
  .refine((bytes) => bytes > 0, 'must be larger than 0');
