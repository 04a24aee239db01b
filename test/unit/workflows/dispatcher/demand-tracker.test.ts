import { describe, expect, it } from 'vitest';
import type { JobNotice } from '../../../../contracts/workflows/job.ts';
import type { JobAction } from '../../../../contracts/messages/job-event.ts';
import { DemandTracker } from '../../../../workflows/dispatcher/demand-tracker.ts';
import { aJob } from '../../../support/a-job.ts';

const SETTINGS = { min: 0, max: 10 };
const NOW = Date.parse('2026-01-01T00:00:00Z');
let deliveries = 0;

function notice(action: JobAction, jobId: number, more: Partial<JobNotice> = {}): JobNotice {
  deliveries += 1;
  const said = { delivery: `delivery-${deliveries}`, runId: 7, name: `job ${jobId}`, at: '2026-01-01T00:00:00Z' };
  return aJob(action, jobId, { ...said, ...more });
}

const hookJob = { runId: 7, runAttempt: 1, repository: 'acme/hello', workflow: 'ci', jobKey: 'build' };
const ended = { reason: 'job-completed', ranJob: true, failed: false, detail: '' } as const;
const died = { reason: 'instance-died', ranJob: false, failed: true, detail: '' } as const;

/** Jobs 1..n queued, and as many runners r1..rn started for them. */
function busyGroup(jobs: number): DemandTracker {
  const ledger = new DemandTracker();
  for (let id = 1; id <= jobs; id++) ledger.applyJob(notice('queued', id), NOW);
  ledger.addRunners(
    Array.from({ length: jobs }, (_, index) => `r${index + 1}`),
    NOW,
  );
  return ledger;
}

describe('demand', () => {
  it('a queued job asks for one runner, however often it is said', () => {
    const ledger = new DemandTracker();
    const queued = notice('queued', 1);
    ledger.applyJob(queued, NOW);
    ledger.applyJob(queued, NOW);
    ledger.applyJob({ ...queued, delivery: 'another delivery' }, NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(1);
  });

  it('runners on their way are counted', () => {
    expect(busyGroup(3).shortage(SETTINGS, NOW)).toBe(0);
  });

  it.each<JobAction>(['in_progress', 'completed'])('a late queued after %s asks for nothing', (action) => {
    const ledger = new DemandTracker();
    ledger.applyJob(notice(action, 1), NOW);
    ledger.applyJob(notice('queued', 1), NOW);
    expect(ledger.demand(NOW)).toBe(0);
  });

  it('a job cancelled before pickup asks for nothing any more', () => {
    const ledger = new DemandTracker();
    ledger.applyJob(notice('queued', 1), NOW);
    ledger.applyJob(notice('completed', 1, { conclusion: 'cancelled' }), NOW);
    expect(ledger.demand(NOW)).toBe(0);
  });

  it('a re-run is a job of its own', () => {
    const ledger = new DemandTracker();
    ledger.applyJob(notice('completed', 1), NOW);
    ledger.applyJob(notice('queued', 1, { key: '1:2', runAttempt: 2 }), NOW);
    expect(ledger.demand(NOW)).toBe(1);
  });

  it('a job behind an environment asks once it is let through, in whichever order that is heard', () => {
    const inOrder = new DemandTracker();
    inOrder.applyJob(notice('queued', 1), NOW);
    inOrder.applyJob(notice('waiting', 1), NOW);
    expect(inOrder.demand(NOW)).toBe(0);
    inOrder.applyJob(notice('queued', 1), NOW);
    expect(inOrder.demand(NOW)).toBe(1);

    const waitingLate = new DemandTracker();
    waitingLate.applyJob(notice('queued', 1), NOW);
    waitingLate.applyJob(notice('queued', 1), NOW);
    waitingLate.applyJob(notice('waiting', 1), NOW);
    expect(waitingLate.demand(NOW)).toBe(1);
  });

  it('a job that has waited for a day is over on the forge, too', () => {
    const ledger = new DemandTracker();
    ledger.applyJob(notice('queued', 1), NOW);
    expect(ledger.demand(NOW + 25 * 3_600_000)).toBe(0);
  });
});

describe('max and min', () => {
  it('never more than max, and the rest waits', () => {
    const ledger = new DemandTracker();
    for (let id = 1; id <= 25; id++) ledger.applyJob(notice('queued', id), NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(10);
    ledger.addRunners(
      Array.from({ length: 10 }, (_, index) => `r${index}`),
      NOW,
    );
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    ledger.applyJob(notice('in_progress', 1, { runnerName: 'r0' }), NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    ledger.removeRunner({ runner: 'r0', ...ended }, NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(1);
  });

  it('min idle runners are kept besides those for jobs', () => {
    const ledger = new DemandTracker();
    expect(ledger.shortage({ min: 2, max: 10 }, NOW)).toBe(2);
    ledger.addRunners(['r1', 'r2'], NOW);
    ledger.markBusy('r1', hookJob);
    expect(ledger.shortage({ min: 2, max: 10 }, NOW)).toBe(1);
  });

  it('a surplus runner may retire, a warm or a busy one may not', () => {
    const ledger = new DemandTracker();
    ledger.addRunners(['r1', 'r2'], NOW);
    expect(ledger.mayRetire('r1', { min: 1 })).toBe(true);
    expect(ledger.mayRetire('r1', { min: 2 })).toBe(false);
    ledger.markBusy('r2', hookJob);
    expect(ledger.mayRetire('r2', { min: 0 })).toBe(false);
    expect(ledger.mayRetire('r1', { min: 1 })).toBe(false);
  });
});

describe('who runs what', () => {
  it('a hook that speaks before the forge starts no second runner', () => {
    const ledger = busyGroup(2);
    ledger.markBusy('r1', hookJob);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    ledger.applyJob(notice('in_progress', 2, { runnerName: 'r1' }), NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    expect(ledger.demand(NOW)).toBe(1);
  });

  it('a job taken by a runner of another group leaves ours without a job, and starts none', () => {
    const ledger = busyGroup(1);
    ledger.applyJob(notice('in_progress', 1, { runnerName: 'someone-else' }), NOW);
    expect(ledger.demand(NOW)).toBe(0);
    expect(ledger.mayRetire('r1', { min: 0 })).toBe(true);
  });

  it('our runner that took another group’s job is replaced', () => {
    const ledger = busyGroup(1);
    ledger.applyJob(notice('in_progress', 99, { runnerName: 'r1', runId: 8 }), NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(1);
  });

  it('a lost in_progress webhook makes no runner after the job’s own has gone', () => {
    const ledger = busyGroup(2);
    ledger.markBusy('r1', hookJob);
    ledger.removeRunner({ runner: 'r1', ...ended }, NOW);
    expect(ledger.demand(NOW)).toBe(1);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    // The other job is taken by the other runner: its own webhook must not be mistaken for the lost one.
    ledger.applyJob(notice('in_progress', 1, { runnerName: 'r2' }), NOW);
    expect(ledger.demand(NOW)).toBe(0);
    ledger.applyJob(notice('completed', 2, { runnerName: 'r1' }), NOW);
    expect(ledger.demand(NOW)).toBe(0);
  });

  it('a runner that is gone never hides another run’s demand', () => {
    const ledger = busyGroup(1);
    ledger.markBusy('r1', { ...hookJob, runId: 8 });
    ledger.removeRunner({ runner: 'r1', ...ended }, NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(1);
  });
});

describe('failures', () => {
  it('hold starts back ever longer, and one that works ends that', () => {
    const ledger = busyGroup(1);
    ledger.removeRunner({ runner: 'r1', ...died }, NOW);
    expect(ledger.shortage(SETTINGS, NOW)).toBe(0);
    expect(ledger.resumeAt(SETTINGS, NOW)).toBe(NOW + 1000);
    expect(ledger.shortage(SETTINGS, NOW + 1000)).toBe(1);
    ledger.addRunners(['r2'], NOW + 1000);
    ledger.removeRunner({ runner: 'r2', ...died }, NOW + 1000);
    expect(ledger.resumeAt(SETTINGS, NOW + 1000)).toBe(NOW + 3000);
    ledger.addRunners(['r3'], NOW + 3000);
    ledger.removeRunner({ runner: 'r3', ...ended }, NOW + 3000);
    expect(ledger.resumeAt(SETTINGS, NOW + 3000)).toBeUndefined();
  });

  it('a wave of failures counts once', () => {
    const ledger = busyGroup(8);
    for (let id = 1; id <= 8; id++) ledger.removeRunner({ runner: `r${id}`, ...died }, NOW);
    expect(ledger.resumeAt(SETTINGS, NOW)).toBe(NOW + 1000);
  });
});

describe('the demand tracker', () => {
  it('all of it survives continue-as-new', () => {
    const ledger = busyGroup(3);
    ledger.applyJob(notice('completed', 4), NOW);
    ledger.markBusy('r1', hookJob);
    ledger.removeRunner({ runner: 'r1', ...ended }, NOW);
    ledger.removeRunner({ runner: 'r2', ...died }, NOW);
    const again = new DemandTracker(structuredClone(ledger.toState()));
    expect(again.toState()).toEqual(ledger.toState());
    expect(again.resumeAt(SETTINGS, NOW)).toBe(ledger.resumeAt(SETTINGS, NOW));
    again.applyJob(notice('queued', 4), NOW);
    expect(again.demand(NOW)).toBe(2);
  });
});
