import { describe, expect, it } from 'vitest';
import type { SimulatorEvent } from '../../../services/simulator/event-log.ts';
import { findBrokenPromises, measureLongestWait, type ChaosEvidence } from '../../chaos/checker.ts';

const SINCE = Date.parse('2026-11-28T12:00:00Z');
const RUNNER = 'e2e-linux-a0000001';

function createEvent(seconds: number, type: SimulatorEvent['type'], fields: Record<string, unknown>): SimulatorEvent {
  return { seq: 1, at: new Date(SINCE + seconds * 1000).toISOString(), type, ...fields };
}

const queued = (jobId: number, seconds = 0) => createEvent(seconds, 'job.queued', { jobId });
const started = (jobId: number, seconds = 1) => createEvent(seconds, 'job.started', { jobId, runner: RUNNER });
const ended = (jobId: number, conclusion = 'success') => createEvent(9, 'job.completed', { jobId, conclusion });

/** A run in which one job went well, with these changes. */
function createEvidence(changes: Partial<ChaosEvidence> = {}): ChaosEvidence {
  return {
    groups: [
      { name: 'linux', backend: 'local', max: 2, min: 0, weight: 1 },
      { name: 'extra', backend: 'local', max: 2, min: 0, weight: 1 },
    ],
    caps: { local: 3 },
    jobs: [{ id: 1, group: 'linux' }],
    log: [queued(1), started(1), ended(1)],
    cancelled: new Set(),
    victims: new Set(),
    occupancies: [],
    lives: [],
    leavingCases: [],
    doubles: [],
    leftovers: { folders: [] },
    streams: [{ name: 'BATON_WEBHOOKS', messages: 0, pending: 0 }],
    lastFaultAt: SINCE,
    maxWaitMs: 60_000,
    ...changes,
  };
}

function findRules(changes: Partial<ChaosEvidence>): string[] {
  return findBrokenPromises(createEvidence(changes)).map(({ rule }) => rule);
}

function occupy(...groups: string[]): ChaosEvidence['occupancies'] {
  const instances = groups.map((group, index) => ({ group, runner: `e2e-${group}-a000000${index}` }));
  return [{ at: SINCE, seenIn: 'folders', instances }];
}

describe('the checker of chaos', () => {
  it('has nothing against a run that went well', () => {
    expect(findBrokenPromises(createEvidence({ occupancies: occupy('linux', 'linux', 'extra') }))).toEqual([]);
  });

  it.each([
    ['did not end', [queued(1), started(1)]],
    ['never started', [queued(1), ended(1)]],
    ['started twice', [queued(1), started(1), started(1), ended(1)]],
    ['ended twice', [queued(1), started(1), ended(1), ended(1)]],
    ['failed', [queued(1), started(1), ended(1, 'failure')]],
    ['was cancelled by nobody', [queued(1), ended(1, 'cancelled')]],
  ])('finds a job that %s', (_what, log) => {
    expect(findRules({ log })).toEqual(['job ran once']);
  });

  it('excuses a job whose instance a fault ended, and one that a person cancelled', () => {
    const failed = [queued(1), started(1), ended(1, 'failure')];
    expect(findRules({ log: failed, victims: new Set([RUNNER]) })).toEqual([]);
    expect(findRules({ log: [queued(1), ended(1, 'cancelled')], cancelled: new Set([1]) })).toEqual([]);
  });

  it('finds a job that waited too long, from the last fault on', () => {
    const log = [queued(1), started(1, 100), ended(1)];
    expect(findRules({ log })).toEqual(['job waited too long']);
    expect(findRules({ log, lastFaultAt: SINCE + 50_000 })).toEqual([]);
    expect(measureLongestWait(createEvidence({ log, lastFaultAt: SINCE + 50_000 }))).toBe(50_000);
  });

  it('finds that nothing was started for a job while idle runners were leaving', () => {
    const leavingCases = [{ group: 'linux', runners: ['a'], jobIds: [1], at: SINCE + 100 }];
    const createLife = (runner: string, from: number, to: number) => ({
      group: 'linux',
      runner,
      from: SINCE + from,
      to: SINCE + to,
    });
    const leaving = createLife('a', 0, 600);
    expect(findRules({ leavingCases, lives: [leaving, createLife('b', 601, 900)] })).toEqual([
      'job waited for a leaving runner',
    ]);
    expect(findRules({ leavingCases, lives: [leaving, createLife('b', 599, 900)] })).toEqual([]);
    // An idle runner that was not leaving had it.
    expect(findRules({ leavingCases, lives: [createLife('a', 0, 1100)] })).toEqual([]);
  });

  it.each([
    ['a group has more instances than its max', occupy('linux', 'linux', 'linux')],
    ['a backend has more instances than its max', occupy('linux', 'linux', 'extra', 'extra')],
  ])('finds that %s', (_what, occupancies) => {
    expect(findRules({ occupancies })).toEqual(['more instances than max']);
  });

  it('finds an instance that was started twice, unless a fault had ended it', () => {
    const doubles = [{ runner: RUNNER, text: 'two agents' }];
    expect(findRules({ doubles })).toEqual(['instance started twice']);
    expect(findRules({ doubles, victims: new Set([RUNNER]) })).toEqual([]);
  });

  it('finds a registration that Baton removed while its job ran', () => {
    const removed = createEvent(2, 'runner.removed', { runner: RUNNER, by: 'api', wasBusy: true });
    const log = [queued(1), started(1), removed, ended(1)];
    expect(findRules({ log })).toEqual(['busy runner removed']);
    expect(findRules({ log, victims: new Set([RUNNER]) })).toEqual([]);
  });

  it('finds what is left behind, and messages that were never acknowledged or became dead letters', () => {
    expect(findRules({ leftovers: { folders: [RUNNER] } })).toEqual(['left behind']);
    expect(findRules({ streams: [{ name: 'BATON_SIGNALS', messages: 1, pending: 1 }] })).toEqual(['messages left']);
    expect(findRules({ streams: [{ name: 'BATON_DEAD', messages: 1, pending: 0 }] })).toEqual(['messages left']);
    expect(findRules({ streams: [{ name: 'BATON_USAGE', messages: 9, pending: 0 }] })).toEqual([]);
  });
});
