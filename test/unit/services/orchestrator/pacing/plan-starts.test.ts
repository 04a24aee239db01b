import { describe, expect, it } from 'vitest';
import type { RegistrationOutlook } from '../../../../../contracts/ports/forge.ts';
import type { StartAllowance, WantedStarts } from '../../../../../contracts/ports/start-pacer.ts';
import { NO_STARTS, planStarts, type StartUses } from '../../../../../services/orchestrator/pacing/plan-starts.ts';

/** The beginning of a slot of both windows. */
const NOW = 1_800_000_000_000;

/** One App of 900 points a minute. */
const GITHUB: RegistrationOutlook = { perMinute: 180, perFiveMinutes: 1500, waitMs: 0, blocked: null };

/** Starts of one scope, with a clock that the test sets. */
class Scope {
  now = NOW;
  outlook: RegistrationOutlook = GITHUB;
  #uses: StartUses = NO_STARTS;

  take(wanted: Partial<WantedStarts>): StartAllowance {
    const planned = planStarts(this.#uses, { jobs: 0, idle: 0, ...wanted }, this.outlook, {
      forge: 'GitHub',
      now: this.now,
    });
    this.#uses = planned.uses;
    return planned.allowance;
  }

  /** How many runners start until then, if the rest of so many is asked for again whenever it should be. */
  run(jobs: number, untilMs: number): number {
    let started = 0;
    while (started < jobs && this.now <= NOW + untilMs) {
      const { allowed, nextAt } = this.take({ jobs: Math.min(50, jobs - started) });
      started += allowed;
      this.now = nextAt ?? this.now;
    }
    return started;
  }
}

describe('the plan of starts', () => {
  it('starts all at once where the forge has no known limit', () => {
    const scope = new Scope();
    scope.outlook = { ...GITHUB, perMinute: null, perFiveMinutes: null };
    expect(scope.take({ jobs: 5000 })).toEqual({ allowed: 5000, nextAt: null, perMinute: null, reason: null });
  });

  it('starts as many in any minute as can be registered, and says why the others wait, and until when', () => {
    const scope = new Scope();
    expect(scope.take({ jobs: 100 })).toEqual({ allowed: 100, nextAt: null, perMinute: 180, reason: null });
    scope.now += 10_000;
    expect(scope.take({ jobs: 100 })).toEqual({
      allowed: 80,
      // 15 more, a twelfth of a minute's: when the first hundred has left the window.
      nextAt: NOW + 60_500,
      perMinute: 180,
      reason: 'GitHub lets 180 a minute register',
    });
    scope.now = NOW + 60_499;
    expect(scope.take({ jobs: 20 }).allowed).toBe(0);
    scope.now = NOW + 60_500;
    expect(scope.take({ jobs: 200 })).toMatchObject({ allowed: 100, nextAt: NOW + 70_500 });
  });

  it('starts a burst of 500 at the forge’s rate: 180 at once, then 180 a minute', () => {
    expect(new Scope().run(500, 0)).toBe(180);
    expect(new Scope().run(500, 60_000)).toBe(180);
    expect(new Scope().run(500, 61_000)).toBe(360);
    const scope = new Scope();
    expect(scope.run(500, 600_000)).toBe(500);
    expect(scope.now - NOW).toBeLessThan(122_000);
  });

  it('asks again in steps while starts were spread over the minute, not for each runner', () => {
    const scope = new Scope();
    for (let second = 0; second < 60; second++) {
      scope.now = NOW + second * 1000;
      scope.take({ jobs: 3 });
    }
    const { allowed, nextAt } = scope.take({ jobs: 50 });
    expect(allowed).toBe(0);
    // 15 runners are those of the first five seconds.
    expect(nextAt).toBe(NOW + 4000 + 60_500);
  });

  it('starts at most 1,500 in five minutes, however many Apps there are', () => {
    const scope = new Scope();
    scope.outlook = { ...GITHUB, perMinute: 720 };
    expect(scope.run(5000, 290_000)).toBe(1500);
    scope.now = NOW + 200_000;
    expect(scope.take({ jobs: 1 })).toMatchObject({ allowed: 0, reason: 'GitHub lets 1500 register in 5 minutes' });
    expect(scope.run(5000, 303_000)).toBe(720);
  });

  it('starts more than that where only the hourly limit is known, as of a GHES without limits per minute', () => {
    const scope = new Scope();
    scope.outlook = { ...GITHUB, perMinute: 14_996, perFiveMinutes: null };
    expect(scope.take({ jobs: 5000 })).toEqual({ allowed: 5000, nextAt: null, perMinute: 14_996, reason: null });
    expect(scope.take({ idle: 5000 })).toMatchObject({ allowed: 5000, nextAt: null });
    expect(scope.take({ jobs: 5000 })).toMatchObject({ allowed: 4996, reason: 'GitHub lets 14996 a minute register' });
  });

  it('starts none while the forge blocks, and looks again at the end of the block, after a minute at most', () => {
    const scope = new Scope();
    for (const perMinute of [180, null]) {
      scope.outlook = {
        ...GITHUB,
        perMinute,
        waitMs: 30_000,
        blocked: 'GitHub’s secondary rate limit until 12:03:44Z',
      };
      expect(scope.take({ jobs: 3 })).toEqual({
        allowed: 0,
        nextAt: NOW + 30_000,
        perMinute,
        reason: 'GitHub’s secondary rate limit until 12:03:44Z',
      });
      scope.outlook = { ...GITHUB, perMinute, waitMs: 3_000_000, blocked: 'GitHub’s primary rate limit' };
      expect(scope.take({ jobs: 3 })).toMatchObject({ allowed: 0, nextAt: NOW + 60_000 });
    }
    scope.outlook = { ...GITHUB, blocked: 'GitHub did not answer' };
    expect(scope.take({ jobs: 3 })).toMatchObject({ allowed: 3, nextAt: null });
  });

  it('starts none while registrations wait for much longer than a window', () => {
    const scope = new Scope();
    scope.outlook = { ...GITHUB, waitMs: 100_000 };
    expect(scope.take({ jobs: 3 })).toEqual({
      allowed: 0,
      nextAt: NOW + 10_000,
      perMinute: 180,
      reason: 'registrations already wait 1m 40s for GitHub’s limits',
    });
    scope.outlook = { ...GITHUB, waitMs: 61_500 };
    expect(scope.take({ jobs: 180 }).allowed).toBe(180);
    // The minute's starts are used up, too: that takes longer.
    scope.outlook = { ...GITHUB, waitMs: 100_000 };
    expect(scope.take({ jobs: 3 })).toMatchObject({
      nextAt: NOW + 60_500,
      reason: 'GitHub lets 180 a minute register',
    });
  });

  it('leaves a fifth of the starts to jobs when runners are only kept idle', () => {
    const scope = new Scope();
    expect(scope.take({ idle: 200 })).toMatchObject({ allowed: 144, nextAt: NOW + 60_500 });
    expect(scope.take({ jobs: 40, idle: 10 }).allowed).toBe(36);
    const small = new Scope();
    small.outlook = { ...GITHUB, perMinute: 1 };
    expect(small.take({ idle: 1 }).allowed).toBe(1);
  });
});
