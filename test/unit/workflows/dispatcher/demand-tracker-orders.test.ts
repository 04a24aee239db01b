import { describe, expect, it } from 'vitest';
import type { JobNotice } from '../../../../contracts/workflows/job.ts';
import type { JobAction } from '../../../../contracts/messages/job-event.ts';
import { DemandTracker } from '../../../../workflows/dispatcher/demand-tracker.ts';
import { aJob } from '../../../support/a-job.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const LIMITS = { min: 0, max: 10 };

/** `queued1` and `queued2` are two deliveries of the same action. */
type Said = 'queued1' | 'queued2' | 'waiting' | 'in_progress' | 'completed' | 'cancelled' | 'skipped';

function notice(said: Said, jobId = 1, runner: string | null = null): JobNotice {
  const actions: Record<Said, JobAction> = {
    queued1: 'queued',
    queued2: 'queued',
    waiting: 'waiting',
    in_progress: 'in_progress',
    completed: 'completed',
    cancelled: 'completed',
    skipped: 'completed',
  };
  const taken = said === 'in_progress' || said === 'completed';
  return aJob(actions[said], jobId, {
    delivery: `${said}-${jobId}`,
    runId: 7,
    ...(said === 'skipped' && { labels: [] }),
    conclusion: said === 'completed' ? 'success' : actions[said] === 'completed' ? said : null,
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

/** What is said of one job, all of which arrives; and how many runners it asks for in the end. */
const endings: [what: string, said: Said[], demand: number][] = [
  ['queued', ['queued1'], 1],
  ['queued, taken', ['queued1', 'in_progress'], 0],
  ['queued, taken, over', ['queued1', 'in_progress', 'completed'], 0],
  ['over, nothing else heard', ['completed'], 0],
  ['cancelled before pickup', ['queued1', 'cancelled'], 0],
  ['skipped: only completed is sent', ['skipped'], 0],
  ['behind an environment, approved', ['queued1', 'waiting', 'queued2'], 1],
  ['behind an environment, approved, taken', ['queued1', 'waiting', 'queued2', 'in_progress'], 0],
  ['behind an environment, rejected', ['queued1', 'waiting', 'cancelled'], 0],
  ['behind an environment, approved, over', ['queued1', 'waiting', 'queued2', 'in_progress', 'completed'], 0],
];

describe('a job, said in every order, each once and each twice', () => {
  it.each(endings)('%s', (_what, said, demand) => {
    for (const order of orders(said)) {
      for (const times of [1, 2]) {
        const ledger = new DemandTracker();
        for (const each of order) for (let time = 0; time < times; time++) ledger.applyJob(notice(each), NOW);
        expect({ order, times, demand: ledger.demand(NOW) }).toEqual({ order, times, demand });
        expect(ledger.shortage(LIMITS, NOW)).toBe(demand);
        // All of it again, from the beginning: a redelivery of everything.
        for (const each of order) ledger.applyJob(notice(each), NOW);
        expect(ledger.demand(NOW)).toBe(demand);
      }
    }
  });

  it('queued once and waiting: held back until it is let through', () => {
    const ledger = new DemandTracker();
    ledger.applyJob(notice('queued1'), NOW);
    ledger.applyJob(notice('waiting'), NOW);
    expect(ledger.demand(NOW)).toBe(0);
    expect(ledger.jobStatus(1)).toMatchObject({ state: 'held' });
    ledger.applyJob(notice('queued1'), NOW);
    expect(ledger.demand(NOW)).toBe(0);
  });

  it('two environments: held back twice, asked for once', () => {
    const ledger = new DemandTracker();
    for (const said of ['queued1', 'waiting', 'queued2', 'queued2', 'waiting', 'queued1'] as const) {
      ledger.applyJob(notice(said), NOW);
    }
    expect(ledger.demand(NOW)).toBe(1);
  });
});

describe('what is known of a job', () => {
  it('its place in line is by how long it has waited, not by when it was heard of', () => {
    const ledger = new DemandTracker();
    ledger.applyJob(notice('queued1', 1), NOW);
    ledger.applyJob({ ...notice('queued1', 2), at: new Date(NOW - 60_000).toISOString() }, NOW);
    expect(ledger.jobStatus(1)).toMatchObject({ state: 'waiting', position: 2 });
    expect(ledger.jobStatus(2)).toMatchObject({ state: 'waiting', position: 1, since: '2025-12-31T23:59:00.000Z' });
    expect(ledger.jobStatus(2).needs).toMatchObject({ repository: 'acme/hello', labels: ['linux'] });
    expect(ledger.jobStatus(3)).toMatchObject({ state: 'unknown' });
  });

  it('which runner has it, and that it is over', () => {
    const ledger = new DemandTracker();
    ledger.addRunners(['r1'], NOW);
    ledger.applyJob(notice('in_progress', 1, 'r1'), NOW);
    expect(ledger.jobStatus(1)).toMatchObject({ state: 'running', runner: 'r1' });
    ledger.removeRunner({ runner: 'r1', reason: 'job-completed', ranJob: true, failed: false, detail: '' }, NOW);
    expect(ledger.jobStatus(1)).toMatchObject({ state: 'finished' });
  });
});

describe('surplus', () => {
  const ready = (count: number): DemandTracker => {
    const ledger = new DemandTracker();
    for (let at = 1; at <= count; at++) ledger.addRunners([`r${at}`], NOW + at);
    return ledger;
  };

  it('is what is idle above min and not on its way for a job, oldest first, each named once', () => {
    const ledger = ready(4);
    ledger.applyJob(notice('queued1', 9), NOW);
    expect(ledger.surplus({ min: 1, max: 10 }, NOW)).toEqual(['r1', 'r2']);
    expect(ledger.surplus({ min: 1, max: 10 }, NOW)).toEqual([]);
    expect(ledger.surplus({ min: 0, max: 10 }, NOW)).toEqual(['r3']);
  });

  it('is what a lowered max has no room for, and never a busy one', () => {
    const ledger = ready(4);
    ledger.applyJob(notice('in_progress', 1, 'r1'), NOW);
    ledger.applyJob(notice('in_progress', 2, 'r2'), NOW);
    for (const id of [3, 4, 5]) ledger.applyJob(notice('queued1', id), NOW);
    expect(ledger.surplus({ min: 0, max: 3 }, NOW)).toEqual(['r3']);
    expect(ledger.surplus({ min: 0, max: 1 }, NOW)).toEqual(['r4']);
  });

  it('is what was made by other settings, where it only keeps warm', () => {
    const ledger = ready(2);
    ledger.outdate('old');
    ledger.addRunners(['r3'], NOW + 9);
    ledger.applyJob(notice('queued1', 1), NOW);
    expect(ledger.surplus({ min: 2, max: 10 }, NOW)).toEqual(['r1', 'r2']);
    expect(ledger.runnersOn('old', 'new')).toBe(2);
    expect(ledger.runnersOn('new', 'new')).toBe(1);
  });

  it('one that was kept after all may be named again', () => {
    const ledger = ready(1);
    expect(ledger.surplus({ min: 0, max: 10 }, NOW)).toEqual(['r1']);
    expect(ledger.mayRetire('r1', { min: 1 })).toBe(false);
    expect(ledger.surplus({ min: 0, max: 10 }, NOW)).toEqual(['r1']);
  });
});
