import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatonError } from '../../../contracts/errors.ts';
import { HTTP_FAILURES, readForgeStatuses } from '../../support/library-lists.ts';
import { startAnsweringForge, type AnsweringForge, type RemovalAnswer } from '../../support/answering-forge.ts';

/**
 * Every answer that GitHub can give to the removal of a registration, by what Baton makes of it: all statuses in its descriptions of
 * its API and in Node's list, and no answer at all. Only a positive answer means that none is there.
 */
const SECONDARY = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';
const ABUSE = 'You have triggered an abuse detection mechanism. Please wait a few minutes before you try again.';
const STATUSES = [...new Set([...HTTP_FAILURES, ...readForgeStatuses(), 520, 599])].filter((status) => status !== 429);
/** A token may have expired; 407 never reaches the client: `fetch` fails with it. The rest of 4xx is an answer. */
const isFailure = (status: number): boolean => status >= 500 || [401, 407, 408].includes(status);
const REFUSALS = STATUSES.filter((status) => !isFailure(status));
const FAILURES = STATUSES.filter(isFailure);

type Row = [does: string, answer: RemovalAnswer, result: string];

const ROWS: Row[] = [
  ['none of that name', { find: 'none' }, 'absent'],
  ['one, and 204 to its deletion', { find: 'found', remove: 204 }, 'removed'],
  ['one that is busy', { find: 'found busy' }, 'busy'],
  ['one, and 422 to its deletion: a job has just started on it', { find: 'found', remove: 422 }, 'busy'],
  ['one, and 404 to its deletion: it has just gone', { find: 'found', remove: 404 }, 'absent'],
  ['a page of an outage with status 200', { find: 'no JSON' }, 'FORGE_UNAVAILABLE'],
  ['a lost connection', { find: 'lost' }, 'FORGE_UNAVAILABLE'],
  ['one, and a lost connection to its deletion', { find: 'found', remove: 'lost' }, 'FORGE_UNAVAILABLE'],
  ['429', { find: 429, headers: { 'retry-after': '7' } }, 'FORGE_RATE_LIMITED'],
  ['403 of a secondary limit', { find: 403, message: SECONDARY }, 'FORGE_RATE_LIMITED'],
  ['403 of the older abuse detection', { find: 403, message: ABUSE }, 'FORGE_RATE_LIMITED'],
  ['403 with a time to retry after', { find: 403, headers: { 'retry-after': '7' } }, 'FORGE_RATE_LIMITED'],
  [
    '403 of the primary limit',
    { find: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '4102444800' } },
    'FORGE_RATE_LIMITED',
  ],
  ['one, and 429 to its deletion', { find: 'found', remove: 429 }, 'FORGE_RATE_LIMITED'],
  ...REFUSALS.filter((status) => status !== 422).map((status): Row => [`${status}`, { find: status }, 'FORGE_REFUSED']),
  ...REFUSALS.filter((status) => status !== 422 && status !== 404).map((status): Row => [
    `one, and ${status} to its deletion`,
    { find: 'found', remove: status },
    'FORGE_REFUSED',
  ]),
  // The search has no parameter that GitHub could find invalid: like any refusal, it says nothing of the runner.
  ['422 to the search', { find: 422 }, 'FORGE_REFUSED'],
  ...FAILURES.map((status): Row => [`${status}`, { find: status }, 'FORGE_UNAVAILABLE']),
  ...FAILURES.map((status): Row => [
    `one, and ${status} to its deletion`,
    { find: 'found', remove: status },
    'FORGE_UNAVAILABLE',
  ]),
];

let forge: AnsweringForge;

beforeAll(async () => {
  forge = await startAnsweringForge();
});
afterAll(async () => {
  await forge?.close();
});

describe('the removal of a registration', () => {
  it.each(ROWS)('where GitHub answers %s', async (_does, answer, result) => {
    forge.answers.set('acme', answer);
    const done = await forge.forge.deregister({ organization: 'acme' }, 'runner-1').catch((error: unknown) => {
      if (error instanceof BatonError) return error.code;
      throw error;
    });
    expect(done).toBe(result);
  });

  it.each(readForgeStatuses())('has a row for the status %i of GitHub’s descriptions, for both calls', (status) => {
    const rows = ROWS.map(([, answer]) => answer);
    expect(rows.filter(({ find }) => find === status)).not.toEqual([]);
    expect(rows.filter(({ remove }) => remove === status)).not.toEqual([]);
  });
});
