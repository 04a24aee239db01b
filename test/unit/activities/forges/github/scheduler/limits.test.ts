import { describe, expect, it } from 'vitest';
import { findReachedLimit, readPrimaryLimit } from '../../../../../../activities/forges/github/scheduler/limits.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const RESET = NOW / 1000 + 90;

const answer = (status: number, headers: Record<string, string>, body = '') => ({
  status,
  header: (name: string) => headers[name] ?? null,
  body,
});

describe('a reached limit', () => {
  it.each([
    ['429 with retry-after', answer(429, { 'retry-after': '7' }), 'secondary', 7000],
    ['429 without anything', answer(429, {}), 'secondary', undefined],
    ['403 with retry-after', answer(403, { 'retry-after': '30' }), 'secondary', 30_000],
    ['retry-after as a date', answer(403, { 'retry-after': 'Thu, 01 Jan 2026 00:00:10 GMT' }), 'secondary', 10_000],
    [
      '403 with no requests remaining',
      answer(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(RESET) }),
      'primary',
      90_000,
    ],
    [
      '429 with no requests remaining',
      answer(429, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(RESET) }),
      'primary',
      90_000,
    ],
    [
      'today’s text of the secondary limit, with requests remaining',
      answer(
        403,
        { 'x-ratelimit-remaining': '4000', 'x-ratelimit-reset': String(RESET) },
        '{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}',
      ),
      'secondary',
      undefined,
    ],
    [
      'the older text of the secondary limit',
      answer(403, {}, 'You have triggered an abuse detection mechanism. Please retry your request again later.'),
      'secondary',
      undefined,
    ],
    [
      'the text of the primary limit',
      answer(403, {}, 'API rate limit exceeded for installation ID 1.'),
      'primary',
      undefined,
    ],
  ] as const)('is recognised by %s', (_form, given, kind, waitMs) => {
    expect(findReachedLimit(given, NOW)).toEqual({ kind, until: waitMs === undefined ? undefined : NOW + waitMs });
  });

  it.each([
    [
      'a missing permission',
      answer(403, { 'x-ratelimit-remaining': '4000' }, 'Resource not accessible by integration'),
    ],
    ['a success with the last request', answer(200, { 'x-ratelimit-remaining': '0' })],
    ['a server error', answer(502, { 'retry-after': '7' })],
  ])('is not %s', (_what, given) => {
    expect(findReachedLimit(given, NOW)).toBeUndefined();
  });
});

describe('the primary limit', () => {
  it('is read from the headers, with the resource that it counts', () => {
    const headers = {
      'x-ratelimit-limit': '5000',
      'x-ratelimit-remaining': '4321',
      'x-ratelimit-reset': String(RESET),
    };
    const numbers = { limit: 5000, remaining: 4321, resetAt: RESET * 1000 };
    expect(readPrimaryLimit(answer(200, headers))).toEqual({ resource: 'core', ...numbers });
    const own = { ...headers, 'x-ratelimit-resource': 'actions_runner_registration' };
    expect(readPrimaryLimit(answer(200, own))).toEqual({ resource: 'actions_runner_registration', ...numbers });
    expect(readPrimaryLimit(answer(200, {}))).toBeUndefined();
  });
});
