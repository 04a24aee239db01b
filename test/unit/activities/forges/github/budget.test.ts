import { describe, expect, it } from 'vitest';
import {
  classifyCall,
  fullBudget,
  observeLimits,
  toPlan,
  spend,
  computeWait,
  type BudgetState,
  type ObservedLimits,
  type Urgency,
} from '../../../../../activities/forges/github/budget.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const PLAN = toPlan(900);
const call = (urgency: Urgency, cost = 5) => ({ cost, urgency });
const limits = (more: Partial<ObservedLimits>): ObservedLimits => {
  return {
    status: 200,
    limit: undefined,
    remaining: undefined,
    resetAt: undefined,
    retryAfterSeconds: undefined,
    ...more,
  };
};

/** How many calls can be sent in a minute when all are tried at once and then every 100 ms. */
function callsInAMinute(urgency: Urgency): number {
  let state = fullBudget(PLAN, NOW);
  let calls = 0;
  for (let now = NOW; now < NOW + 60_000; now += 100) {
    while (computeWait(state, PLAN, call(urgency), now) === 0) {
      state = spend(state, PLAN, 5, now);
      calls += 1;
    }
  }
  return calls;
}

describe('a budget of 900 points a minute', () => {
  it('allows 170 to 180 registrations in a minute', () => {
    expect(callsInAMinute('registration')).toBeLessThanOrEqual(180);
    expect(callsInAMinute('registration')).toBeGreaterThan(170);
  });

  it('reserves points for more urgent calls', () => {
    let state = fullBudget(PLAN, NOW);
    while (computeWait(state, PLAN, call('background'), NOW) === 0) state = spend(state, PLAN, 5, NOW);
    expect(computeWait(state, PLAN, call('removal'), NOW)).toBe(0);
    while (computeWait(state, PLAN, call('removal'), NOW) === 0) state = spend(state, PLAN, 5, NOW);
    expect(computeWait(state, PLAN, call('registration'), NOW)).toBe(0);
  });

  it('refills with time', () => {
    const empty: BudgetState = { points: 0, at: NOW, blockedUntil: 0 };
    const wait = computeWait(empty, PLAN, call('registration'), NOW);
    expect(wait).toBe(500);
    expect(computeWait(empty, PLAN, call('registration'), NOW + wait)).toBe(0);
  });

  it('allows every call at some time, however small it is', () => {
    const plan = toPlan(6);
    expect(computeWait(fullBudget(plan, NOW), plan, call('background'), NOW)).toBe(0);
  });
});

describe('the forge’s own limits', () => {
  it.each<[string, Partial<ObservedLimits>, number]>([
    ['retry-after', { status: 403, retryAfterSeconds: 30 }, 30_000],
    ['retry-after of a 429', { status: 429, retryAfterSeconds: 7 }, 7000],
    ['a used-up primary limit', { status: 403, limit: 5000, remaining: 0, resetAt: NOW + 90_000 }, 90_000],
    ['a secondary limit without retry-after', { status: 429 }, 60_000],
    ['a missing permission', { status: 403, limit: 5000, remaining: 4000, resetAt: NOW + 90_000 }, 0],
    ['a successful answer', { status: 200, limit: 5000, remaining: 4000, resetAt: NOW + 90_000 }, 0],
  ])('set the wait after %s', (_what, answer, wait) => {
    for (const plan of [PLAN, undefined]) {
      const state = observeLimits(fullBudget(plan, NOW), limits(answer), NOW);
      expect(computeWait(state, plan, call('registration'), NOW)).toBe(wait);
    }
  });

  it('leave the last requests of the primary limit to registrations', () => {
    const answer = limits({ limit: 1000, remaining: 50, resetAt: NOW + 90_000 });
    const state = observeLimits(fullBudget(undefined, NOW), answer, NOW);
    expect(computeWait(state, undefined, call('background'), NOW)).toBe(90_000);
    expect(computeWait(state, undefined, call('removal'), NOW)).toBe(90_000);
    expect(computeWait(state, undefined, call('registration'), NOW)).toBe(0);
    expect(computeWait(state, undefined, call('background'), NOW + 90_001)).toBe(0);
  });

  it('do not change when an older answer arrives late', () => {
    const first = observeLimits(fullBudget(PLAN, NOW), limits({ limit: 10, remaining: 3, resetAt: NOW + 1000 }), NOW);
    const late = observeLimits(first, limits({ limit: 10, remaining: 8, resetAt: NOW + 1000 }), NOW);
    expect(late.primary?.remaining).toBe(3);
    const next = observeLimits(late, limits({ limit: 10, remaining: 10, resetAt: NOW + 9000 }), NOW);
    expect(next.primary?.remaining).toBe(10);
  });
});

describe('a call to GitHub', () => {
  it.each([
    ['POST', '/orgs/acme/actions/runners/generate-jitconfig', 5, 'registration'],
    ['POST', '/app/installations/7/access_tokens', 5, 'registration'],
    ['POST', '/repos/acme/hello/actions/jobs/7/rerun', 5, 'registration'],
    ['PUT', '/orgs/acme/actions/runners/12/labels', 5, 'registration'],
    ['GET', '/orgs/acme/actions/runners', 1, 'removal'],
    ['DELETE', '/repos/acme/hello/actions/runners/12', 5, 'removal'],
    ['GET', '/orgs/acme/actions/runner-groups/3/runners', 1, 'background'],
    ['POST', '/app/hook/deliveries/1/attempts', 5, 'background'],
  ] as const)('%s %s costs %d points and has the urgency %s', (method, path, cost, urgency) => {
    expect(classifyCall(method, path)).toEqual({ cost, urgency });
  });
});
