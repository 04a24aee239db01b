import { describe, expect, it } from 'vitest';
import { describePace } from '../../../../contracts/workflows/pace.ts';
import { Pace } from '../../../../workflows/dispatcher/pace.ts';

const NOW = 1_800_000_000_000;
const LATER = new Date(NOW + 5000).toISOString();
const HELD = { started: 3, nextAt: LATER, perMinute: 180, reason: 'GitHub lets 180 a minute register' };
const ALL = { started: 5, nextAt: null, perMinute: 180, reason: null };

describe('the pace of a group', () => {
  it('holds nothing back at first, and where all runners were started', () => {
    const pace = new Pace();
    expect(pace.holdsUntil(NOW)).toBeUndefined();
    expect(pace.apply(ALL, 5, NOW)).toBe(0);
    expect(pace.holdsUntil(NOW)).toBeUndefined();
    pace.apply(HELD, 5, NOW);
    expect(pace.apply(undefined, 5, NOW)).toBe(0);
    expect(pace.holdsUntil(NOW)).toBeUndefined();
  });

  it('holds starts back until the time that the answer names, and not for longer', () => {
    const pace = new Pace();
    expect(pace.apply(HELD, 5, NOW)).toBe(2);
    expect(pace.holdsUntil(NOW)).toBe(NOW + 5000);
    expect(pace.holdsUntil(NOW + 4999)).toBe(NOW + 5000);
    expect(pace.holdsUntil(NOW + 5000)).toBeUndefined();
  });

  it('holds starts back for a moment where the answer names no time', () => {
    const pace = new Pace();
    pace.apply({ ...HELD, nextAt: null, reason: null }, 5, NOW);
    expect(pace.holdsUntil(NOW)).toBe(NOW + 1000);
  });

  it('is over after the next answer that starts all, and when it is cleared', () => {
    const pace = new Pace();
    pace.apply(HELD, 5, NOW);
    pace.apply(ALL, 5, NOW);
    expect(pace.holdsUntil(NOW)).toBeUndefined();
    pace.apply(HELD, 5, NOW);
    pace.clear();
    expect(pace.holdsUntil(NOW)).toBeUndefined();
  });

  it('is carried over by continue-as-new', () => {
    const pace = new Pace();
    pace.apply(HELD, 5, NOW);
    const again = new Pace(JSON.parse(JSON.stringify(pace.toState())));
    expect(again.view(2, NOW)).toEqual({ heldBack: 2, until: LATER, perMinute: 180, reason: HELD.reason });
  });

  it('is shown only while it holds runners back', () => {
    const pace = new Pace();
    pace.apply(HELD, 5, NOW);
    expect(pace.view(0, NOW)).toBeNull();
    expect(pace.view(2, NOW + 5000)).toBeNull();
    expect(describePace({ heldBack: 380, reason: HELD.reason }, 120)).toBe(
      '120 of 500 started; GitHub lets 180 a minute register',
    );
  });
});
