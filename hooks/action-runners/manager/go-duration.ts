const UNITS_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Longer than any duration that anybody means. */
const MAX_LENGTH = 100;

/**
 * Parses a duration in Go's notation: `90s`, `1h30m`, `1.5h`, `0`. Negative ones are not accepted.
 * Source: https://pkg.go.dev/time#ParseDuration
 *
 * @returns milliseconds, at least 1 where it isn't zero; undefined for anything else
 */
export function parseGoDuration(text: string): number | undefined {
  if (text === '0') return 0;
  if (text.length > MAX_LENGTH) return undefined;
  if (!/^\+?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, number = '', unit = ''] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(number) * (UNITS_MS[unit] ?? Number.NaN);
  }
  if (!Number.isFinite(sum)) return undefined;
  return sum === 0 ? 0 : Math.max(1, Math.round(sum));
}
