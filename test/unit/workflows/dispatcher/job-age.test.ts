import { describe, expect, it } from 'vitest';
import type { JobNotice } from '../../../../contracts/workflows/job.ts';
import type { JobAction } from '../../../../contracts/messages/job-event.ts';
import { DemandTracker } from '../../../../workflows/dispatcher/demand-tracker.ts';
import { aJob } from '../../../support/a-job.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** An event of job 1 that arrives at that time, in a delivery of its own. */
function notice(action: JobAction, delivery: string, at: number): JobNotice {
  return aJob(action, 1, { delivery, at: new Date(at).toISOString() });
}

function apply(tracker: DemandTracker, action: JobAction, delivery: string, at: number): void {
  tracker.applyJob(notice(action, delivery, at), at);
}

/** A tracker that knows job 1 as queued, and then as held by an environment, at NOW. */
function held(): DemandTracker {
  const tracker = new DemandTracker();
  apply(tracker, 'queued', 'first', NOW);
  apply(tracker, 'waiting', 'hold', NOW);
  return tracker;
}

describe('the age of a waiting job', () => {
  it('ends its demand after the 48 hours that the forge may need to cancel it, and its status says so', () => {
    const tracker = new DemandTracker();
    apply(tracker, 'queued', 'first', NOW);
    expect(tracker.countDemand(NOW + 47 * HOUR_MS)).toBe(1);
    expect(tracker.countDemand(NOW + 49 * HOUR_MS)).toBe(0);
    expect(tracker.getJobStatus(1, NOW + 49 * HOUR_MS)).toMatchObject({
      state: 'too-old',
      since: '2026-01-01T00:00:00.000Z',
    });
    expect(tracker.toRoster(NOW + 49 * HOUR_MS).waiting).toEqual([]);
  });

  it.each([25, 49, 29 * 24])('begins anew when its environment is approved after %i hours', (hours) => {
    const tracker = held();
    const approved = NOW + hours * HOUR_MS;
    expect(tracker.countDemand(approved)).toBe(0);
    expect(tracker.getJobStatus(1, approved)).toMatchObject({ state: 'held' });
    apply(tracker, 'queued', 'second', approved);
    expect(tracker.countDemand(approved)).toBe(1);
    expect(tracker.countDemand(approved + 47 * HOUR_MS)).toBe(1);
    expect(tracker.countDemand(approved + 49 * HOUR_MS)).toBe(0);
  });

  it('begins anew with its last `queued`, also where the event that an environment holds it was lost', () => {
    const tracker = new DemandTracker();
    apply(tracker, 'queued', 'first', NOW);
    expect(tracker.countDemand(NOW + 60 * HOUR_MS)).toBe(0);
    apply(tracker, 'queued', 'second', NOW + 60 * HOUR_MS);
    expect(tracker.countDemand(NOW + 60 * HOUR_MS)).toBe(1);
  });

  it('does not begin anew with a repeated delivery', () => {
    const tracker = new DemandTracker();
    apply(tracker, 'queued', 'first', NOW);
    apply(tracker, 'queued', 'first', NOW + 40 * HOUR_MS);
    expect(tracker.countDemand(NOW + 49 * HOUR_MS)).toBe(0);
    apply(tracker, 'queued', 'first', NOW + 49 * HOUR_MS);
    expect(tracker.countDemand(NOW + 49 * HOUR_MS)).toBe(0);
    expect(tracker.getJobStatus(1, NOW + 49 * HOUR_MS)).toMatchObject({ state: 'too-old' });
  });

  it('is that of the newest `queued`, in whatever order they arrive', () => {
    const tracker = new DemandTracker();
    tracker.applyJob(notice('queued', 'second', NOW + 25 * HOUR_MS), NOW + 26 * HOUR_MS);
    tracker.applyJob(notice('queued', 'first', NOW), NOW + 26 * HOUR_MS);
    expect(tracker.getJobStatus(1, NOW + 26 * HOUR_MS)).toMatchObject({ since: '2026-01-02T01:00:00.000Z' });
  });

  it('is not held again by the repeated event that its environment held it, where its first `queued` was lost', () => {
    const tracker = new DemandTracker();
    apply(tracker, 'waiting', 'hold', NOW);
    apply(tracker, 'queued', 'second', NOW + HOUR_MS);
    apply(tracker, 'waiting', 'hold', NOW + 2 * HOUR_MS);
    expect(tracker.countDemand(NOW + 2 * HOUR_MS)).toBe(1);
  });

  it('ends the wait for an environment when the forge has given up, after 30 days', () => {
    const tracker = held();
    expect(tracker.getJobStatus(1, NOW + 30 * DAY_MS)).toMatchObject({ state: 'held' });
    expect(tracker.getJobStatus(1, NOW + 32 * DAY_MS)).toMatchObject({ state: 'too-old' });
    // Forgotten a week later: then it is only remembered as finished.
    tracker.applyJob(aJob('queued', 2), NOW + 40 * DAY_MS);
    expect(tracker.getJobStatus(1, NOW + 40 * DAY_MS)).toMatchObject({ state: 'finished' });
  });

  it('goes with it to another group, and a repeated delivery does not renew it there', () => {
    const tracker = new DemandTracker();
    apply(tracker, 'queued', 'first', NOW);
    const [moved] = tracker.listForMove(10, NOW + HOUR_MS);
    expect(moved).toMatchObject({ since: '2026-01-01T00:00:00.000Z', applied: ['first'] });
    const other = new DemandTracker();
    const event = {
      ...aJob('queued', 1, { delivery: 'moved', at: moved?.since ?? '' }),
      applied: moved?.applied ?? [],
    };
    other.applyJob(event, NOW + HOUR_MS);
    apply(other, 'queued', 'first', NOW + 40 * HOUR_MS);
    expect(other.countDemand(NOW + 47 * HOUR_MS)).toBe(1);
    expect(other.countDemand(NOW + 49 * HOUR_MS)).toBe(0);
  });

  it('is remembered for the newest thousand of jobs that are too old', () => {
    const tracker = new DemandTracker();
    for (let id = 1; id <= 1010; id++) {
      tracker.applyJob(aJob('queued', id, { at: new Date(NOW + id).toISOString() }), NOW + id);
    }
    tracker.applyJob(aJob('queued', 5000), NOW + 50 * HOUR_MS);
    expect(tracker.getJobStatus(10, NOW + 50 * HOUR_MS)).toMatchObject({ state: 'finished' });
    expect(tracker.getJobStatus(11, NOW + 50 * HOUR_MS)).toMatchObject({ state: 'too-old' });
  });
});
