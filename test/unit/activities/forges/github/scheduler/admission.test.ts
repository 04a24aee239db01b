import { describe, expect, it } from 'vitest';
import {
  computeCallWait,
  MINUTE,
  spend,
  type Waiting,
} from '../../../../../../activities/forges/github/scheduler/admission.ts';
import type { ForgeCall, Priority } from '../../../../../../activities/forges/github/scheduler/call.ts';
import {
  applyPrimaryLimit,
  EMPTY_STATE,
  type BudgetState,
} from '../../../../../../activities/forges/github/scheduler/state.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const PLAN = { cap: 900, window: MINUTE };
const NOBODY: Waiting = { registration: false, removal: false, background: false };
const ALL: Waiting = { registration: true, removal: true, background: true };

const call = (priority: Priority, cost = 5): ForgeCall => ({ priority, cost, actor: 'installation' });
const waitOf = (state: BudgetState, wanted: ForgeCall, waiting = NOBODY, now = NOW, plan = PLAN): number =>
  computeCallWait(state, plan, wanted, { waiting, inFlight: 0, now });

/** As many calls as the state allows at once. */
function useUp(state: BudgetState, wanted: ForgeCall, waiting = NOBODY): { state: BudgetState; points: number } {
  let points = 0;
  let next = state;
  while (waitOf(next, wanted, waiting) === 0) {
    next = spend(next, PLAN, wanted, { timeoutMs: 1000, now: NOW });
    points += wanted.cost;
  }
  return { state: next, points };
}

describe('900 points a minute', () => {
  it('are all free for registrations at once, and again when the window has passed', () => {
    const { state, points } = useUp(EMPTY_STATE, call('registration'));
    expect(points).toBe(900);
    expect(waitOf(state, call('registration'))).toBe(61_500);
    expect(waitOf(state, call('registration'), NOBODY, NOW + 61_500)).toBe(0);
  });

  it('are used by looking around for a quarter at most, and for a twentieth while something more urgent waits', () => {
    expect(useUp(EMPTY_STATE, call('background', 1)).points).toBe(225);
    expect(useUp(EMPTY_STATE, call('background', 1), { ...NOBODY, removal: true }).points).toBe(45);
  });

  it('keep a tenth for removals and a twentieth for looking around, while such calls wait', () => {
    const registrations = useUp(EMPTY_STATE, call('registration'), ALL);
    expect(registrations.points).toBe(900 - 90 - 45);
    const removals = useUp(registrations.state, call('removal'), ALL);
    expect(removals.points).toBe(90);
    const others = useUp(removals.state, call('background'), ALL);
    expect(others.points).toBe(45);
    expect(useUp(EMPTY_STATE, call('removal')).points).toBe(900);
  });

  it('are no obstacle for ever, however few they are', () => {
    for (const priority of ['registration', 'removal', 'background'] as const) {
      expect(waitOf(EMPTY_STATE, call(priority), ALL, NOW, { cap: 3, window: MINUTE })).toBe(0);
    }
  });
});

describe('the primary limit', () => {
  const reported = (remaining: number, resetAt = NOW + 90_000, resource = 'core') =>
    ({ resource, limit: 1000, remaining, resetAt }) as const;

  it('keeps its last requests for more urgent calls', () => {
    const at = (remaining: number) => applyPrimaryLimit(EMPTY_STATE, call('removal'), reported(remaining));
    const waits = (remaining: number) =>
      (['registration', 'removal', 'background'] as const).map((priority) => waitOf(at(remaining), call(priority)));
    expect(waits(301)).toEqual([0, 0, 0]);
    expect(waits(300)).toEqual([0, 0, 90_000]);
    expect(waits(100)).toEqual([0, 90_000, 90_000]);
    expect(waits(0)).toEqual([90_000, 90_000, 90_000]);
    expect(waitOf(at(0), call('background'), NOBODY, NOW + 90_001)).toBe(0);
  });

  it('takes calls under way into account: their answers have not reported yet', () => {
    const state = applyPrimaryLimit(EMPTY_STATE, call('registration'), reported(3));
    const wait = (inFlight: number) =>
      computeCallWait(state, PLAN, call('registration'), { waiting: NOBODY, inFlight, now: NOW });
    expect([wait(0), wait(2)]).toEqual([0, 0]);
    expect(wait(3)).toBeGreaterThan(0);
  });

  it('does not change when an older answer arrives late', () => {
    const first = applyPrimaryLimit(EMPTY_STATE, call('removal'), reported(3));
    const late = applyPrimaryLimit(first, call('removal'), reported(8));
    expect(late.primary['installation core']?.remaining).toBe(3);
    const next = applyPrimaryLimit(late, call('removal'), reported(999, NOW + 3_690_000));
    expect(next.primary['installation core']?.remaining).toBe(999);
  });

  it('of registrations is their own, where GitHub counts them apart', () => {
    const registration = { ...call('registration'), registers: 'acme' };
    const resource = 'actions_runner_registration';
    const state = applyPrimaryLimit(EMPTY_STATE, registration, reported(0, NOW + 90_000, resource));
    expect(waitOf(state, registration)).toBe(90_000);
    expect(waitOf(state, call('registration'))).toBe(0);
  });
});
