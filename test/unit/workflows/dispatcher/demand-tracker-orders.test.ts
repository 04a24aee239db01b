import { describe, expect, it } from 'vitest';
import type { JobNotice } from '../../../../contracts/workflows/job.ts';
import type { JobAction } from '../../../../contracts/messages/job-event.ts';
import { DemandTracker } from '../../../../workflows/dispatcher/demand-tracker.ts';
import { aJob } from '../../../support/a-job.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const LIMITS = { min: 0, max: 10 };

/** `queued1` and `queued2` are two deliveries of the same action. */
type EventName = 'queued1' | 'queued2' | 'waiting' | 'in_progress' | 'completed' | 'cancelled' | 'skipped';

function notice(event: EventName, jobId = 1, runner: string | null = null): JobNotice {
  const actions: Record<EventName, JobAction> = {
    queued1: 'queued',
    queued2: 'queued',
    waiting: 'waiting',
    in_progress: 'in_progress',
    completed: 'completed',
    cancelled: 'completed',
    skipped: 'completed',
  };
  const taken = event === 'in_progress' || event === 'completed';
  return aJob(actions[event], jobId, {
    delivery: `${event}-${jobId}`,
    runId: 7,
    ...(event === 'skipped' && { labels: [] }),
    conclusion: event === 'completed' ? 'success' : actions[event] === 'completed' ? event : null,
    runnerName: taken ? runner : null,
    at: '2026-01-01T00:00:00Z',
  });
}

function orders<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, index) =>
    orders(items.filter((_other, at) => at !== index)).map((rest) => [item, ...rest]),
  );
}

/** Events of one job, all of which arrive, and the demand that is left in the end. */
const endings: [what: string, events: EventName[], demand: number][] = [
  ['queued', ['queued1'], 1],
  ['queued, taken', ['queued1', 'in_progress'], 0],
  ['queued, taken, completed', ['queued1', 'in_progress', 'completed'], 0],
  ['completed, with no other event', ['completed'], 0],
  ['cancelled before a runner took it', ['queued1', 'cancelled'], 0],
  ['skipped, with `completed` as its only event', ['skipped'], 0],
  ['held by an environment, approved', ['queued1', 'waiting', 'queued2'], 1],
  ['held by an environment, approved, taken', ['queued1', 'waiting', 'queued2', 'in_progress'], 0],
  ['held by an environment, rejected', ['queued1', 'waiting', 'cancelled'], 0],
  [
    'held by an environment, approved, taken, completed',
    ['queued1', 'waiting', 'queued2', 'in_progress', 'completed'],
    0,
  ],
];

describe('the demand of a job, whose events arrive in every order, once and twice', () => {
  it.each(endings)('is right for a job that is %s', (_what, events, demand) => {
    for (const order of orders(events)) {
      for (const times of [1, 2]) {
        const tracker = new DemandTracker();
        for (const each of order) for (let time = 0; time < times; time++) tracker.applyJob(notice(each), NOW);
        expect({ order, times, demand: tracker.countDemand(NOW) }).toEqual({ order, times, demand });
        expect(tracker.countShortage(LIMITS, NOW)).toBe(demand);
        // All events are redelivered.
        for (const each of order) tracker.applyJob(notice(each), NOW);
        expect(tracker.countDemand(NOW)).toBe(demand);
      }
    }
  });

  it('is 0 while an environment holds the job, until the job is approved', () => {
    const tracker = new DemandTracker();
    tracker.applyJob(notice('queued1'), NOW);
    tracker.applyJob(notice('waiting'), NOW);
    expect(tracker.countDemand(NOW)).toBe(0);
    expect(tracker.getJobStatus(1, NOW)).toMatchObject({ state: 'held' });
    tracker.applyJob(notice('queued1'), NOW);
    expect(tracker.countDemand(NOW)).toBe(0);
  });

  it('is 1 for a job that two environments held, one after the other', () => {
    const tracker = new DemandTracker();
    for (const event of ['queued1', 'waiting', 'queued2', 'queued2', 'waiting', 'queued1'] as const) {
      tracker.applyJob(notice(event), NOW);
    }
    expect(tracker.countDemand(NOW)).toBe(1);
  });
});

describe('the status of a job', () => {
  it('has a position by the time it has waited, not by the arrival of its events', () => {
    const tracker = new DemandTracker();
    tracker.applyJob(notice('queued1', 1), NOW);
    tracker.applyJob({ ...notice('queued1', 2), at: new Date(NOW - 60_000).toISOString() }, NOW);
    expect(tracker.getJobStatus(1, NOW)).toMatchObject({ state: 'waiting', position: 2 });
    expect(tracker.getJobStatus(2, NOW)).toMatchObject({
      state: 'waiting',
      position: 1,
      since: '2025-12-31T23:59:00.000Z',
    });
    expect(tracker.getJobStatus(2, NOW).needs).toMatchObject({ repository: 'acme/hello', labels: ['linux'] });
    expect(tracker.getJobStatus(3, NOW)).toMatchObject({ state: 'unknown' });
  });

  it('names its runner, and says that it finished', () => {
    const tracker = new DemandTracker();
    tracker.addRunners(['r1'], NOW);
    tracker.applyJob(notice('in_progress', 1, 'r1'), NOW);
    expect(tracker.getJobStatus(1, NOW)).toMatchObject({ state: 'running', runner: 'r1' });
    tracker.removeRunner({ runner: 'r1', reason: 'job-completed', ranJob: true, failed: false, detail: '' }, NOW);
    expect(tracker.getJobStatus(1, NOW)).toMatchObject({ state: 'finished' });
  });
});

describe('the surplus runners', () => {
  const ready = (count: number): DemandTracker => {
    const tracker = new DemandTracker();
    for (let at = 1; at <= count; at++) tracker.addRunners([`r${at}`], NOW + at);
    return tracker;
  };

  it('are the idle ones above min that no job needs, oldest first, each returned once', () => {
    const tracker = ready(4);
    tracker.applyJob(notice('queued1', 9), NOW);
    expect(tracker.takeSurplus({ min: 1, max: 10 }, NOW)).toEqual(['r1', 'r2']);
    expect(tracker.takeSurplus({ min: 1, max: 10 }, NOW)).toEqual([]);
    expect(tracker.takeSurplus({ min: 0, max: 10 }, NOW)).toEqual(['r3']);
  });

  it('are returned some at a time, where so many are asked for', () => {
    const tracker = ready(4);
    expect(tracker.takeSurplus({ min: 1, max: 10 }, NOW, 2)).toEqual(['r1', 'r2']);
    expect(tracker.takeSurplus({ min: 1, max: 10 }, NOW, 2)).toEqual(['r3']);
    expect(tracker.takeSurplus({ min: 1, max: 10 }, NOW, 2)).toEqual([]);
  });

  it('are the idle ones above a lowered max, never a busy one', () => {
    const tracker = ready(4);
    tracker.applyJob(notice('in_progress', 1, 'r1'), NOW);
    tracker.applyJob(notice('in_progress', 2, 'r2'), NOW);
    for (const id of [3, 4, 5]) tracker.applyJob(notice('queued1', id), NOW);
    expect(tracker.takeSurplus({ min: 0, max: 3 }, NOW)).toEqual(['r3']);
    expect(tracker.takeSurplus({ min: 0, max: 1 }, NOW)).toEqual(['r4']);
  });

  it('are the outdated ones that no job needs', () => {
    const tracker = ready(2);
    tracker.markOutdated('old');
    tracker.addRunners(['r3'], NOW + 9);
    tracker.applyJob(notice('queued1', 1), NOW);
    expect(tracker.takeSurplus({ min: 2, max: 10 }, NOW)).toEqual(['r1', 'r2']);
    expect(tracker.countRunnersOn('old', 'new')).toBe(2);
    expect(tracker.countRunnersOn('new', 'new')).toBe(1);
  });

  it('include a runner again that was not allowed to retire before', () => {
    const tracker = ready(1);
    expect(tracker.takeSurplus({ min: 0, max: 10 }, NOW)).toEqual(['r1']);
    expect(tracker.mayRetire('r1', { min: 1 }, NOW)).toBe(false);
    expect(tracker.takeSurplus({ min: 0, max: 10 }, NOW)).toEqual(['r1']);
  });
});
