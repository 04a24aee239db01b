import { describe, expect, it } from 'vitest';
import { DemandTracker } from '../../../../workflows/dispatcher/demand-tracker.ts';
import { aJob } from '../../../support/a-job.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const MINUTE_MS = 60_000;
const LIMITS = { min: 0, max: 10 };
/** A runner's time to start: without a job it asks to leave after this time. */
const START_MS = 11 * MINUTE_MS;

function queue(tracker: DemandTracker, jobId: number, now: number, delivery = `${jobId}`): void {
  tracker.applyJob(aJob('queued', jobId, { delivery, at: new Date(now).toISOString() }), now);
}

/** A runner starts at that time, and leaves without a job. @returns when */
function pass(tracker: DemandTracker, runner: string, now: number): number {
  tracker.addRunners([runner], now);
  const end = now + START_MS;
  expect(tracker.mayRetire(runner, LIMITS, end)).toBe(true);
  tracker.removeRunner({ runner, reason: 'time-to-start', ranJob: false, failed: false, detail: '' }, end);
  return end;
}

/** What a dispatcher does in a day with one job that the forge gives to no runner. @returns the times of all starts */
function liveThroughDay(tracker: DemandTracker): number[] {
  const starts: number[] = [];
  for (let now = NOW; now < NOW + 24 * 60 * MINUTE_MS;) {
    expect(tracker.countShortage(LIMITS, now)).toBe(1);
    starts.push(now);
    now = pass(tracker, `r${starts.length}`, now);
    now = tracker.countPassedOver(now).nextAt ?? now;
  }
  return starts;
}

describe('a job that the forge gives to no runner', () => {
  it('gets runners ever more slowly: 15 in a day, not 131', () => {
    const tracker = new DemandTracker();
    queue(tracker, 1, NOW);
    const starts = liveThroughDay(tracker);
    expect(starts).toHaveLength(15);
    const gaps = starts.slice(1).map((at, index) => Math.round((at - (starts[index] ?? 0)) / MINUTE_MS));
    expect(gaps.slice(0, 6)).toEqual([11, 21, 31, 51, 91, 131]);
    expect(Math.max(...gaps)).toBe(131);
  });

  it('has a status that says how often runners passed it over, and when the next one starts', () => {
    const tracker = new DemandTracker();
    queue(tracker, 1, NOW);
    expect(tracker.getJobStatus(1, NOW)).toMatchObject({ state: 'waiting', passedOver: 0 });
    const first = pass(tracker, 'r1', NOW);
    expect(tracker.getJobStatus(1, first)).toMatchObject({ state: 'waiting', passedOver: 1, position: 1 });
    const second = pass(tracker, 'r2', first);
    const next = second + 10 * MINUTE_MS;
    expect(tracker.getJobStatus(1, second)).toMatchObject({
      state: 'passed-over',
      passedOver: 2,
      nextTryAt: new Date(next).toISOString(),
    });
    expect(tracker.countPassedOver(second)).toEqual({ jobs: 1, nextAt: next });
    expect(tracker.countShortage(LIMITS, next - 1)).toBe(0);
    expect(tracker.countShortage(LIMITS, next)).toBe(1);
  });

  it('slows no other job down', () => {
    const tracker = new DemandTracker();
    queue(tracker, 1, NOW);
    const later = pass(tracker, 'r2', pass(tracker, 'r1', NOW));
    queue(tracker, 2, later);
    expect(tracker.countShortage(LIMITS, later)).toBe(1);
    expect(tracker.getJobStatus(2, later)).toMatchObject({ state: 'waiting', position: 1, passedOver: 0 });
    expect(tracker.listUnservedSince(2, later)).toEqual([later, null]);
  });

  it('counts several runners of the same try once', () => {
    const tracker = new DemandTracker();
    queue(tracker, 1, NOW);
    tracker.addRunners(['r1', 'r2', 'r3'], NOW);
    for (const runner of ['r1', 'r2', 'r3']) tracker.mayRetire(runner, LIMITS, NOW + START_MS);
    expect(tracker.getJobStatus(1, NOW + START_MS)).toMatchObject({ passedOver: 1 });
  });

  it('is not passed over by a runner that came before it, was asked to leave, or is busy', () => {
    const tracker = new DemandTracker();
    tracker.addRunners(['early'], NOW);
    queue(tracker, 1, NOW + 1);
    tracker.addRunners(['asked', 'busy'], NOW + 2);
    tracker.markBusy('busy', { runId: 9, runAttempt: 1, repository: 'acme/hello', workflow: 'ci', jobKey: 'build' });
    expect(tracker.takeSurplus({ min: 0, max: 1 }, NOW + 3)).toHaveLength(2);
    for (const runner of ['early', 'asked', 'busy']) tracker.mayRetire(runner, LIMITS, NOW + START_MS);
    expect(tracker.getJobStatus(1, NOW + START_MS)).toMatchObject({ passedOver: 0 });
  });

  it('counts at once when it is queued anew, when an operator resumes its group, and when another such job gets a runner', () => {
    const tracker = new DemandTracker();
    queue(tracker, 1, NOW);
    queue(tracker, 2, NOW);
    const later = pass(tracker, 'r2', pass(tracker, 'r1', NOW));
    expect(tracker.countDemand(later)).toBe(0);
    tracker.retryPassedOver(later);
    expect(tracker.countDemand(later)).toBe(2);
    const third = pass(tracker, 'r3', later);
    expect(tracker.getJobStatus(1, third)).toMatchObject({ state: 'passed-over', passedOver: 3 });
    queue(tracker, 1, third, 'queued again');
    expect(tracker.getJobStatus(1, third)).toMatchObject({ state: 'waiting', passedOver: 0 });
    const fifth = pass(tracker, 'r5', pass(tracker, 'r4', third));
    expect(tracker.getJobStatus(1, fifth)).toMatchObject({ state: 'passed-over', passedOver: 2 });
    tracker.applyJob(aJob('in_progress', 2, { runnerName: 'r6' }), fifth);
    expect(tracker.getJobStatus(1, fifth)).toMatchObject({ state: 'waiting', passedOver: 2 });
  });

  it('is remembered over continue-as-new', () => {
    const tracker = new DemandTracker();
    queue(tracker, 1, NOW);
    const later = pass(tracker, 'r2', pass(tracker, 'r1', NOW));
    const again = new DemandTracker(JSON.parse(JSON.stringify(tracker.toState())));
    expect(again.getJobStatus(1, later)).toEqual(tracker.getJobStatus(1, later));
  });
});
