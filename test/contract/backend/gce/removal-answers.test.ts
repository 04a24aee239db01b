import pMap from 'p-map';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Fault } from '../../../support/fault-proxy.ts';
import { readGoogleStatuses } from '../../../support/library-lists.ts';
import type { RemovalEnding } from '../../../support/removal-ending.ts';
import { ENDLESS, GRPC, LASTING, ONCE, type RemovalRow } from './removal-rows.ts';
import { RemovalTrials } from './removal-trials.ts';

/**
 * Every answer that Compute Engine can give in each step of a removal, by what the backend makes of it, through Google's own
 * library. Most of the time is that library's delay between its attempts, so that many instances are removed side by side.
 */
const AT_ONCE = 60;
/** On a busy machine: minutes, since each row makes about 15 calls. */
const ALL_TIMEOUT_MS = 600_000;

const toTrials = (rows: RemovalRow[], how: 'removeDespite' | 'removeAfter' | 'removeInTime'): Trial[] =>
  rows.map(([step, does, fault, outcome]) => ({
    step,
    does,
    outcome,
    says: /REFUSED|DENIED/.test(outcome) ? readMessage(fault) : '',
    run: () => trials[how](step, fault),
  }));

/** The text of an error of Google's API, up to the names in it; empty for other answers. */
function readMessage(fault: Fault): string {
  if (!('answer' in fault) || typeof fault.answer === 'function') return '';
  return /"message":"([^"{]*)/.exec(fault.answer.body)?.[1] ?? '';
}

interface Trial {
  step: string;
  does: string;
  outcome: string;
  /** What of the answer the error repeats. */
  says: string;
  run: () => Promise<RemovalEnding>;
}

const lasting = toTrials(LASTING, 'removeDespite');
const once = toTrials(ONCE, 'removeAfter');
const endless = toTrials(ENDLESS, 'removeInTime');
const endings = new Map<Trial, RemovalEnding | Error>();
let trials: RemovalTrials;

async function run(all: Trial[]): Promise<void> {
  const work = async (trial: Trial): Promise<void> => {
    endings.set(trial, await trial.run().catch((error: Error) => error));
  };
  await pMap(all, work, { concurrency: AT_ONCE });
}

beforeAll(async () => {
  trials = await RemovalTrials.start();
});

afterAll(async () => {
  await trials?.stop();
});

describe.each([
  ['always', lasting],
  ['once', once],
  ['endlessly', endless],
])('the removal of an instance of GCE where a call is answered %s', (_often, all) => {
  beforeAll(async () => {
    await run(all);
  }, ALL_TIMEOUT_MS);

  it.each(all)('"$step" with $does', async (trial) => {
    const { outcome, says } = trial;
    const ending = endings.get(trial);
    expect(ending).toMatchObject({ outcome, message: expect.stringContaining(says) });
  });
});

describe('the table of answers', () => {
  it('has a row for each status of Google’s library', () => {
    expect(Object.keys(GRPC).toSorted()).toEqual(readGoogleStatuses().names.toSorted());
  });
});
