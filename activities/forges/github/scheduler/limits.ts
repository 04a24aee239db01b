/** The parts of an answer that tell of limits. */
export interface ForgeAnswer {
  status: number;
  /** The value of a header, by its name in lower case; null or undefined where it is missing. */
  header: (name: string) => string | null | undefined;
  /** Of a 403 or 429; empty otherwise. */
  body: string;
}

/** The answer that a limit was reached. */
export interface ReachedLimit {
  kind: 'primary' | 'secondary';
  /** When the forge accepts calls again, milliseconds since the epoch; undefined: it doesn't say. */
  until?: number | undefined;
}

/** The primary limit: requests per hour. */
export interface PrimaryLimit {
  /** GitHub counts registrations apart from other requests, as `actions_runner_registration`; others are `core`. */
  resource: string;
  limit: number;
  remaining: number;
  /** Milliseconds since the epoch. */
  resetAt: number;
}

/** The texts of GitHub's limits: today's secondary, the older secondary, the primary. */
const LIMIT_TEXT = /secondary rate limit|abuse detection|API rate limit exceeded/i;
const PRIMARY_TEXT = /API rate limit exceeded/i;

/**
 * Recognises the answer that a limit was reached, in all its forms: 429; 403 with `retry-after`, with no requests remaining, or
 * with nothing but one of GitHub's texts. A 403 without these is a missing permission.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
 */
export function findReachedLimit({ status, header, body }: ForgeAnswer, now: number): ReachedLimit | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const retryAt = toRetryAt(header('retry-after'), now);
  const exhausted = header('x-ratelimit-remaining') === '0';
  const primary = exhausted || PRIMARY_TEXT.test(body);
  if (status === 403 && retryAt === undefined && !exhausted && !LIMIT_TEXT.test(body)) return undefined;
  const resetAt = exhausted ? toSeconds(header('x-ratelimit-reset')) : undefined;
  return {
    kind: primary && !/secondary|abuse/i.test(body) ? 'primary' : 'secondary',
    until: retryAt ?? (resetAt === undefined ? undefined : resetAt * 1000),
  };
}

/** The primary limit in an answer's headers. */
export function readPrimaryLimit({ header }: Pick<ForgeAnswer, 'header'>): PrimaryLimit | undefined {
  const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map((name) =>
    toSeconds(header(`x-ratelimit-${name}`)),
  );
  if (limit === undefined || remaining === undefined || reset === undefined) return undefined;
  return { resource: header('x-ratelimit-resource') ?? 'core', limit, remaining, resetAt: reset * 1000 };
}

/** `retry-after` is a number of seconds or a date. */
function toRetryAt(value: string | null | undefined, now: number): number | undefined {
  const seconds = toSeconds(value);
  if (seconds !== undefined) return now + seconds * 1000;
  const date = Date.parse(value ?? '');
  return Number.isNaN(date) ? undefined : date;
}

function toSeconds(value: string | null | undefined): number | undefined {
  return value !== null && value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}
