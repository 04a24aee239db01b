import { describe, expect, test } from 'vitest';
import type { JobNotice } from '../../../../contracts/workflows/actors.ts';
import type { JobAction } from '../../../../contracts/messages/job-event.ts';
import { Ledger } from '../../../../workflows/dispatcher/demand-tracker.ts';
import { jobNotice } from '../../../support/a-job.ts';

const SETTINGS = { min: 0, max: 10 };
const NOW = Date.parse('2026-01-01T00:00:00Z');
let deliveries = 0;

function notice(action: JobAction, jobId: number, more: Partial<JobNotice> = {}): JobNotice {
  deliveries += 1;
  const said = { delivery: `delivery-${deliveries}`, runId: 7, name: `job ${jobId}`, at: '2026-01-01T00:00:00Z' };
  return jobNotice(action, jobId, { ...said, ...more });
}

const hookJob = { runId: 7, runAttempt: 1, repository: 'acme/hello', workflow: 'ci', jobKey: 'build' };
const ended = { reason: 'job-completed', ranJob: true, failed: false, detail: '' } as const;
const died = { reason: 'instance-died', ranJob: false, failed: true, detail: '' } as const;

/** Jobs 1..n queued, and as many runners r1..rn started for them. */
function busyGroup(jobs: number): Ledger {
  const ledger = new Ledger();
  for (let id = 1; id <= jobs; id++) ledger.job(notice('queued', id), NOW);
  ledger.started(
    Array.from({ length: jobs }, (_, index) => `r${index + 1}`),
    NOW,
  );
  return ledger;
}

describe('demand', () => {
  test('a queued job asks for one runner, however often it is said', () => {
    const ledger = new Ledger();
    const queued = notice('queued', 1);
    ledger.job(queued, NOW);
    ledger.job(queued, NOW);
    ledger.job({ ...queued, delivery: 'another delivery' }, NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(1);
  });

  test('runners on their way are counted', () => {
    expect(busyGroup(3).shortage(SETTINGS, NOW)).toBe(0);
  });

  test.each<JobAction>(['in_progress', 'completed'])('a late queued after %s asks for nothing', (action) => {
    const ledger = new Ledger();
    ledger.job(notice(action, 1), NOW);
    ledger.job(notice('queued', 1), NOW);
    expect(ledger.demand(NOW)).toBe(0);
  });

  test('a job cancelled before pickup asks for nothing any more', () => {
    const ledger = new Ledger();
    ledger.job(notice('queued', 1), NOW);
    ledger.job(notice('completed', 1, { conclusion: 'cancelled' }), NOW);
    expect(ledger.demand(NOW)).toBe(0);
  });

  test('a re-run is a job of its own', () => {
    const ledger = new Ledger();
    ledger.job(notice('completed', 1), NOW);
    ledger.job(notice('queued', 1, { key: '1:2', runAttempt: 2 }), NOW);
    expect(ledger.demand(NOW)).toBe(1);
  });

  test('a job behind an environment asks once it is let through, in whichever order that is heard', () => {
    const inOrder = new Ledger();
    inOrder.job(notice('queued', 1), NOW);
    inOrder.job(notice('waiting', 1), NOW);
    expect(inOrder.demand(NOW)).toBe(0);
    inOrder.job(notice('queued', 1), NOW);
    expect(inOrder.demand(NOW)).toBe(1);

    const waitingLate = new Ledger();
    waitingLate.job(notice('queued', 1), NOW);
    waitingLate.job(notice('queued', 1), NOW);
    waitingLate.job(notice('waiting', 1), NOW);
    expect(waitingLate.demand(NOW)).toBe(1);
  });

  test('a job that has waited for a day is over on the forge, too', () => {
    const ledger = new Ledger();
    ledger.job(notice('queued', 1), NOW);
    expect(ledger.demand(NOW + 25 * 3_600_000)).toBe(0);
  });
});

describe('max and min', () => {
  test('never more than max, and the rest waits', () => {
    const ledger = new Ledger();
    for (let id = 1; id <= 25; id++) ledger.job(notice('queued', id), NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(10);
    ledger.started(
      Array.from({ length: 10 }, (_, index) => `r${index}`),
      NOW,
    );
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    ledger.job(notice('in_progress', 1, { runnerName: 'r0' }), NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    ledger.gone({ runner: 'r0', ...ended }, NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(1);
  });

  test('min idle runners are kept besides those for jobs', () => {
    const ledger = new Ledger();
    expect(ledger.shortage({ min: 2, max: 10 }, NOW)).toBe(2);
    ledger.started(['r1', 'r2'], NOW);
    ledger.busy('r1', hookJob);
    expect(ledger.shortage({ min: 2, max: 10 }, NOW)).toBe(1);
  });

  test('a surplus runner may retire, a warm or a busy one may not', () => {
    const ledger = new Ledger();
    ledger.started(['r1', 'r2'], NOW);
    expect(ledger.mayRetire('r1', { min: 1 })).toBe(true);
    expect(ledger.mayRetire('r1', { min: 2 })).toBe(false);
    ledger.busy('r2', hookJob);
    expect(ledger.mayRetire('r2', { min: 0 })).toBe(false);
    expect(ledger.mayRetire('r1', { min: 1 })).toBe(false);
  });
});

describe('who runs what', () => {
  test('a hook that speaks before the forge starts no second runner', () => {
    const ledger = busyGroup(2);
    ledger.busy('r1', hookJob);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    ledger.job(notice('in_progress', 2, { runnerName: 'r1' }), NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    expect(ledger.demand(NOW)).toBe(1);
  });

  test('a job taken by a runner of another group leaves ours without a job, and starts none', () => {
    const ledger = busyGroup(1);
    ledger.job(notice('in_progress', 1, { runnerName: 'someone-else' }), NOW);
    expect(ledger.demand(NOW)).toBe(0);
    expect(ledger.mayRetire('r1', { min: 0 })).toBe(true);
  });

  test('our runner that took another group’s job is replaced', () => {
    const ledger = busyGroup(1);
    ledger.job(notice('in_progress', 99, { runnerName: 'r1', runId: 8 }), NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(1);
  });

  test('a lost in_progress webhook makes no runner after the job’s own has gone', () => {
    const ledger = busyGroup(2);
    ledger.busy('r1', hookJob);
    ledger.gone({ runner: 'r1', ...ended }, NOW);
    expect(ledger.demand(NOW)).toBe(1);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    // The other job is taken by the other runner: its own webhook must not be mistaken for the lost one.
    ledger.job(notice('in_progress', 1, { runnerName: 'r2' }), NOW);
    expect(ledger.demand(NOW)).toBe(0);
    ledger.job(notice('completed', 2, { runnerName: 'r1' }), NOW);
    expect(ledger.demand(NOW)).toBe(0);
  });

  test('a runner that is gone never hides another run’s demand', () => {
    const ledger = busyGroup(1);
    ledger.busy('r1', { ...hookJob, runId: 8 });
    ledger.gone({ runner: 'r1', ...ended }, NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(1);
  });
});

describe('failures', () => {
  test('hold starts back ever longer, and one that works ends that', () => {
    const ledger = busyGroup(1);
    ledger.gone({ runner: 'r1', ...died }, NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    expect(ledger.resumeAt(SETTINGS, NOW)).toBe(NOW + 1000);
    expect(ledger.shortage(SETTINGS, NOW + 1000)).toBe(1);
    ledger.started(['r2'], NOW + 1000);
    ledger.gone({ runner: 'r2', ...died }, NOW + 1000);
    expect(ledger.resumeAt(SETTINGS, NOW + 1000)).toBe(NOW + 3000);
    ledger.started(['r3'], NOW + 3000);
    ledger.gone({ runner: 'r3', ...ended }, NOW + 3000);
    expect(ledger.resumeAt(SETTINGS, NOW + 3000)).toBeUndefined();
  });

  test('a wave of failures counts once', () => {
    const ledger = busyGroup(8);
    for (let id = 1; id <= 8; id++) ledger.gone({ runner: `r${id}`, ...died }, NOW);
    expect(ledger.resumeAt(SETTINGS, NOW)).toBe(NOW + 1000);
  });
});

test('all of it survives continue-as-new', () => {
  const ledger = busyGroup(3);
  ledger.job(notice('completed', 4), NOW);
  ledger.busy('r1', hookJob);
  ledger.gone({ runner: 'r1', ...ended }, NOW);
  ledger.gone({ runner: 'r2', ...died }, NOW);
  const again = new Ledger(structuredClone(ledger.toState()));
  expect(again.toState()).toEqual(ledger.toState());
  expect(again.resumeAt(SETTINGS, NOW)).toBe(ledger.resumeAt(SETTINGS, NOW));
  again.job(notice('queued', 4), NOW);
  expect(again.demand(NOW)).toBe(2);
});
