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
  const defaults = { delivery: `delivery-${deliveries}`, runId: 7, name: `job ${jobId}`, at: '2026-01-01T00:00:00Z' };
  return aJob(action, jobId, { ...defaults, ...more });
}

const hookJob = { runId: 7, runAttempt: 1, repository: 'acme/hello', workflow: 'ci', jobKey: 'build' };
const ended = { reason: 'job-completed', ranJob: true, failed: false, detail: '' } as const;
const died = { reason: 'instance-died', ranJob: false, failed: true, detail: '' } as const;

/** Jobs 1..n queued, and as many runners r1..rn started for them. */
function busyGroup(jobs: number): DemandTracker {
  const tracker = new DemandTracker();
  for (let id = 1; id <= jobs; id++) tracker.applyJob(notice('queued', id), NOW);
  tracker.addRunners(
    Array.from({ length: jobs }, (_, index) => `r${index + 1}`),
    NOW,
  );
  return tracker;
}

describe('the demand of a group', () => {
  it('counts a queued job once, however often its events arrive', () => {
    const tracker = new DemandTracker();
    const queued = notice('queued', 1);
    tracker.applyJob(queued, NOW);
    tracker.applyJob(queued, NOW);
    tracker.applyJob({ ...queued, delivery: 'another delivery' }, NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(1);
  });

  it('needs no more runners than those that are starting', () => {
    expect(busyGroup(3).countShortage(SETTINGS, NOW)).toBe(0);
  });

  it.each<JobAction>(['in_progress', 'completed'])('ignores a late `queued` after `%s`', (action) => {
    const tracker = new DemandTracker();
    tracker.applyJob(notice(action, 1), NOW);
    tracker.applyJob(notice('queued', 1), NOW);
    expect(tracker.countDemand(NOW)).toBe(0);
  });

  it('drops a job that was cancelled before a runner took it', () => {
    const tracker = new DemandTracker();
    tracker.applyJob(notice('queued', 1), NOW);
    tracker.applyJob(notice('completed', 1, { conclusion: 'cancelled' }), NOW);
    expect(tracker.countDemand(NOW)).toBe(0);
  });

  it('counts a re-run as another job', () => {
    const tracker = new DemandTracker();
    tracker.applyJob(notice('completed', 1), NOW);
    tracker.applyJob(notice('queued', 1, { key: '1:2', runAttempt: 2 }), NOW);
    expect(tracker.countDemand(NOW)).toBe(1);
  });

  it('counts a job held by an environment only once it is approved, in any order of events', () => {
    const inOrder = new DemandTracker();
    inOrder.applyJob(notice('queued', 1), NOW);
    inOrder.applyJob(notice('waiting', 1), NOW);
    expect(inOrder.countDemand(NOW)).toBe(0);
    inOrder.applyJob(notice('queued', 1), NOW);
    expect(inOrder.countDemand(NOW)).toBe(1);

    const waitingLate = new DemandTracker();
    waitingLate.applyJob(notice('queued', 1), NOW);
    waitingLate.applyJob(notice('queued', 1), NOW);
    waitingLate.applyJob(notice('waiting', 1), NOW);
    expect(waitingLate.countDemand(NOW)).toBe(1);
  });
});

describe('the limits of a group', () => {
  it('never start more than max; the other jobs wait', () => {
    const tracker = new DemandTracker();
    for (let id = 1; id <= 25; id++) tracker.applyJob(notice('queued', id), NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(10);
    tracker.addRunners(
      Array.from({ length: 10 }, (_, index) => `r${index}`),
      NOW,
    );
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(0);
    tracker.applyJob(notice('in_progress', 1, { runnerName: 'r0' }), NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(0);
    tracker.removeRunner({ runner: 'r0', ...ended }, NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(1);
  });

  it('start min idle runners besides those for jobs', () => {
    const tracker = new DemandTracker();
    expect(tracker.countShortage({ min: 2, max: 10 }, NOW)).toBe(2);
    tracker.addRunners(['r1', 'r2'], NOW);
    tracker.markBusy('r1', hookJob);
    expect(tracker.countShortage({ min: 2, max: 10 }, NOW)).toBe(1);
  });

  it('let a surplus runner retire, but not a needed idle one or a busy one', () => {
    const tracker = new DemandTracker();
    tracker.addRunners(['r1', 'r2'], NOW);
    expect(tracker.mayRetire('r1', { min: 2 }, NOW)).toBe(false);
    tracker.markBusy('r2', hookJob);
    expect(tracker.mayRetire('r2', { min: 0 }, NOW)).toBe(false);
    expect(tracker.mayRetire('r1', { min: 1 }, NOW)).toBe(false);
  });

  it('let only one of two go that ask at once where min is 1; the same one may ask again', () => {
    const tracker = new DemandTracker();
    tracker.addRunners(['r1', 'r2'], NOW);
    expect(tracker.mayRetire('r1', { min: 1 }, NOW)).toBe(true);
    expect(tracker.mayRetire('r2', { min: 1 }, NOW)).toBe(false);
    expect(tracker.mayRetire('r1', { min: 1 }, NOW)).toBe(true);
    expect(tracker.countRunners(NOW)).toMatchObject({ busy: 0, ready: 1, leaving: 1 });
  });

  it('count a leaving runner towards max, but neither as idle nor for a job', () => {
    const tracker = new DemandTracker();
    tracker.addRunners(['r1'], NOW);
    expect(tracker.mayRetire('r1', { min: 0 }, NOW)).toBe(true);
    tracker.applyJob(notice('queued', 1), NOW);
    expect(tracker.countShortage({ min: 0, max: 2 }, NOW)).toBe(1);
    expect(tracker.countShortage({ min: 1, max: 9 }, NOW)).toBe(2);
    expect(tracker.countShortage({ min: 1, max: 1 }, NOW)).toBe(0);
    expect(tracker.takeSurplus({ min: 0, max: 0 }, NOW)).toEqual([]);
  });

  it('count a runner as busy that got a job while it was leaving', () => {
    const tracker = new DemandTracker();
    tracker.addRunners(['r1'], NOW);
    expect(tracker.mayRetire('r1', { min: 0 }, NOW)).toBe(true);
    tracker.markBusy('r1', hookJob);
    expect(tracker.countRunners(NOW)).toMatchObject({ busy: 1, ready: 0, leaving: 0 });
    // Its own report, sent before its job started, comes late.
    tracker.markLeaving('r1', false, NOW);
    expect(tracker.countRunners(NOW)).toMatchObject({ busy: 1, leaving: 0 });
  });

  it('count the failure of a leaving runner once, when it begins to leave', () => {
    const tracker = busyGroup(1);
    tracker.markLeaving('r1', true, NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(0);
    expect(tracker.resumeAt(SETTINGS, NOW)).toBe(NOW + 1000);
    expect(tracker.countShortage(SETTINGS, NOW + 1000)).toBe(1);
    tracker.removeRunner({ runner: 'r1', ...died }, NOW + 1000);
    expect(tracker.countShortage(SETTINGS, NOW + 1000)).toBe(1);
  });
});

describe('runners and jobs', () => {
  it('start no second runner when the hook reports before the forge', () => {
    const tracker = busyGroup(2);
    tracker.markBusy('r1', hookJob);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(0);
    tracker.applyJob(notice('in_progress', 2, { runnerName: 'r1' }), NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(0);
    expect(tracker.countDemand(NOW)).toBe(1);
  });

  it('leave our runner without a job when a runner of another group took it', () => {
    const tracker = busyGroup(1);
    tracker.applyJob(notice('in_progress', 1, { runnerName: 'someone-else' }), NOW);
    expect(tracker.countDemand(NOW)).toBe(0);
    expect(tracker.mayRetire('r1', { min: 0 }, NOW)).toBe(true);
  });

  it('replace our runner when it took another group’s job', () => {
    const tracker = busyGroup(1);
    tracker.applyJob(notice('in_progress', 99, { runnerName: 'r1', runId: 8 }), NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(1);
  });

  it('start no runner after a lost `in_progress` webhook, when the job’s runner is gone', () => {
    const tracker = busyGroup(2);
    tracker.markBusy('r1', hookJob);
    tracker.removeRunner({ runner: 'r1', ...ended }, NOW);
    expect(tracker.countDemand(NOW)).toBe(1);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(0);
    // The other runner takes the other job: its webhook must not be mistaken for the lost one.
    tracker.applyJob(notice('in_progress', 1, { runnerName: 'r2' }), NOW);
    expect(tracker.countDemand(NOW)).toBe(0);
    tracker.applyJob(notice('completed', 2, { runnerName: 'r1' }), NOW);
    expect(tracker.countDemand(NOW)).toBe(0);
  });

  it('count a later job of the same run after a runner is gone whose job was never known', () => {
    const tracker = busyGroup(0);
    tracker.addRunners(['r1'], NOW);
    tracker.markBusy('r1', hookJob);
    tracker.removeRunner({ runner: 'r1', ...ended }, NOW);
    tracker.applyJob(notice('queued', 2), NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(1);
  });

  it('count another run’s demand after a runner is gone', () => {
    const tracker = busyGroup(1);
    tracker.markBusy('r1', { ...hookJob, runId: 8 });
    tracker.removeRunner({ runner: 'r1', ...ended }, NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(1);
  });
});

describe('failed runners', () => {
  it('delay new starts ever longer, until a runner succeeds', () => {
    const tracker = busyGroup(1);
    tracker.removeRunner({ runner: 'r1', ...died }, NOW);
    expect(tracker.countShortage(SETTINGS, NOW)).toBe(0);
    expect(tracker.resumeAt(SETTINGS, NOW)).toBe(NOW + 1000);
    expect(tracker.countShortage(SETTINGS, NOW + 1000)).toBe(1);
    tracker.addRunners(['r2'], NOW + 1000);
    tracker.removeRunner({ runner: 'r2', ...died }, NOW + 1000);
    expect(tracker.resumeAt(SETTINGS, NOW + 1000)).toBe(NOW + 3000);
    tracker.addRunners(['r3'], NOW + 3000);
    tracker.removeRunner({ runner: 'r3', ...ended }, NOW + 3000);
    expect(tracker.resumeAt(SETTINGS, NOW + 3000)).toBeUndefined();
  });

  it('count as one failure when they fail at the same time', () => {
    const tracker = busyGroup(8);
    for (let id = 1; id <= 8; id++) tracker.removeRunner({ runner: `r${id}`, ...died }, NOW);
    expect(tracker.resumeAt(SETTINGS, NOW)).toBe(NOW + 1000);
  });
});

describe('the demand tracker', () => {
  it('carries all of its state over continue-as-new', () => {
    const tracker = busyGroup(3);
    tracker.applyJob(notice('completed', 4), NOW);
    tracker.markBusy('r1', hookJob);
    tracker.removeRunner({ runner: 'r1', ...ended }, NOW);
    tracker.removeRunner({ runner: 'r2', ...died }, NOW);
    const again = new DemandTracker(structuredClone(tracker.toState()));
    expect(again.toState()).toEqual(tracker.toState());
    expect(again.resumeAt(SETTINGS, NOW)).toBe(tracker.resumeAt(SETTINGS, NOW));
    again.applyJob(notice('queued', 4), NOW);
    expect(again.countDemand(NOW)).toBe(2);
  });
});
