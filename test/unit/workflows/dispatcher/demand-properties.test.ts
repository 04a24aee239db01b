import { nat, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DemandTracker } from '../../../../workflows/dispatcher/demand-tracker.ts';
import {
  DemandRun,
  demandSteps,
  type DemandStep,
  JOBS,
  NOW,
  RUNNERS,
  toNotice,
} from '../../../support/demand-steps.ts';
import { checkProperty } from '../../../support/properties.ts';

/** Nothing is forgotten before this time. */
const WEEK_MS = 7 * 24 * 3_600_000;

/** Applies the steps and calls `check` after each. */
function follow(all: readonly DemandStep[], check: (run: DemandRun, started: number) => void): void {
  const run = new DemandRun();
  for (const each of all) check(run, run.apply(each));
}

describe('the demand tracker, for any order, repetition and loss of events', () => {
  it('never starts more than max, leaving runners included', () => {
    checkProperty(
      property(demandSteps, (all) => {
        follow(all, (run, started) => {
          expect(started > 0 && run.existing.length > run.limits.max).toBe(false);
          expect(run.tracker.size).toBe(run.existing.length);
        });
      }),
    );
  });

  it('counts every runner once: busy, ready or leaving, and lets no busy one leave', () => {
    checkProperty(
      property(demandSteps, (all) => {
        follow(all, (run) => {
          const { busy, ready, leaving } = run.tracker.countRunners(run.now);
          const existing = run.existing;
          expect({ busy, leaving, all: busy + ready + leaving }).toEqual({
            busy: existing.filter((name) => run.busy.has(name)).length,
            leaving: existing.filter((name) => run.leaving.has(name)).length,
            all: existing.length,
          });
          expect(run.wrong).toEqual([]);
        });
      }),
    );
  });

  it('keeps min runners ready, and one for every job that needs one, where neither max nor a pause after failures limits it', () => {
    checkProperty(
      property(demandSteps, (all) => {
        follow(all, (run) => {
          const { tracker, limits, now } = run;
          const { ready, waiting } = tracker.countRunners(now);
          const isLimited = run.existing.length >= limits.max || tracker.resumeAt(limits, now) !== undefined;
          expect(isLimited || ready >= limits.min + waiting).toBe(true);
        });
      }),
    );
  });

  it('counts every queued job as demand, or its status says why not', () => {
    checkProperty(
      property(demandSteps, (all) => {
        const queued = new Set<number>();
        const ended = new Set<number>();
        const run = new DemandRun();
        for (const each of all) {
          run.apply(each);
          if (each.do === 'job' && each.action === 'queued') queued.add(each.job);
          if (each.do === 'job' && (each.action === 'in_progress' || each.action === 'completed')) ended.add(each.job);
          const { tracker, now } = run;
          const states = Array.from({ length: JOBS }, (_, id) => tracker.getJobStatus(id, now).state);
          const waiting = states.filter((state) => state === 'waiting').length;
          // A hook reports only the run: such a runner has one of its jobs, whichever.
          const { runners, unattributedRuns } = tracker.toState();
          const served = runners.filter(([, known]) => known.run !== undefined && known.job === undefined).length;
          const counted = tracker.countDemand(now);
          expect(counted <= waiting && counted >= waiting - served - unattributedRuns.length).toBe(true);
          const forgotten = states.filter((state, id) => {
            if (state === 'finished' || state === 'running') return !ended.has(id) && now < NOW + WEEK_MS;
            return state === 'unknown' ? queued.has(id) : ended.has(id);
          });
          expect(forgotten).toEqual([]);
        }
      }),
    );
  });

  it('lets no more runners leave by themselves than min allows', () => {
    checkProperty(
      property(demandSteps, nat(RUNNERS), (all, others) => {
        const run = new DemandRun();
        for (const each of all) run.apply(each);
        const { tracker, limits, now } = run;
        const before = tracker.countRunners(now).ready;
        const outdated = tracker.toState().runners.filter(([, known]) => known.outdated).length;
        for (const name of [...run.existing, ...run.existing].slice(0, others * 2))
          tracker.mayRetire(name, limits, now);
        expect(tracker.countRunners(now).ready).toBeGreaterThanOrEqual(Math.min(before, limits.min) - outdated);
      }),
    );
  });

  it('asks only idle runners to retire, and none that a job or min needs', () => {
    checkProperty(
      property(demandSteps, (all) => {
        const run = new DemandRun();
        for (const each of all) run.apply(each);
        const { tracker, limits, now } = run;
        const { ready, waiting } = tracker.countRunners(now);
        const current = tracker.toState().runners;
        const outdated = current.filter(([, known]) => known.outdated && !known.busy && !known.leaving).length;
        const asked = tracker.takeSurplus(limits, now);
        expect(asked.filter((name) => run.busy.has(name) || run.leaving.has(name))).toEqual([]);
        const needed = Math.min(
          waiting + limits.min,
          Math.max(0, limits.max - run.existing.filter((name) => run.busy.has(name)).length),
        );
        expect(asked.length).toBeLessThanOrEqual(Math.max(0, ready - needed, Math.min(outdated, ready - waiting)));
        expect(tracker.takeSurplus(limits, now)).toEqual([]);
      }),
    );
  });

  it('comes to the same state when any event arrives again at once', () => {
    checkProperty(
      property(demandSteps, (all) => {
        const run = new DemandRun();
        for (const each of all) {
          run.apply(each);
          const before = JSON.stringify(run.tracker.toState());
          if (each.do === 'job')
            run.tracker.applyJob(toNotice({ ...each, id: each.job, runnerName: null, at: run.now + 1 }), run.now + 1);
          expect(JSON.stringify(run.tracker.toState())).toBe(before);
        }
      }),
    );
  });

  it('goes on the same after continue-as-new at any moment', () => {
    checkProperty(
      property(demandSteps, nat(40), (all, moment) => {
        const [one, other] = [new DemandRun(), new DemandRun()];
        for (const [at, each] of all.entries()) {
          const started = one.apply(each);
          if (at === moment) other.tracker = new DemandTracker(JSON.parse(JSON.stringify(other.tracker.toState())));
          expect(other.apply(each)).toBe(started);
        }
        expect(other.tracker.toState()).toEqual(one.tracker.toState());
      }),
    );
  });
});
