import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SecondaryLimit } from '../../../../services/simulator/limits/secondary-limit.ts';
import { DEFAULT_LIMITS } from '../../../../services/simulator/settings.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const spend = (limit: SecondaryLimit, points: number): void => {
  for (let left = points; left > 0; left -= 5) {
    expect(limit.begin(Math.min(5, left))).toBeNull();
    limit.end();
  }
};

describe('the secondary limit of the simulator', () => {
  it('counts the points of any sixty seconds, wherever they begin', () => {
    const limit = new SecondaryLimit(DEFAULT_LIMITS);
    spend(limit, 450);
    vi.advanceTimersByTime(59_000);
    spend(limit, 450);
    expect(limit.points).toBe(900);
    vi.advanceTimersByTime(1_000);
    // The first half is over, the second half still counts.
    expect(limit.points).toBe(450);
    spend(limit, 450);
    expect(limit.begin(1)).toBe('points');
    expect(limit.maxPoints).toBe(900);
  });

  it('refuses everything for a minute after one call too many, and is not extended by calls on their way', () => {
    const limit = new SecondaryLimit(DEFAULT_LIMITS);
    spend(limit, 900);
    expect(limit.begin(1)).toBe('points');
    vi.advanceTimersByTime(4_000);
    expect(limit.begin(1)).toBe('points');
    vi.advanceTimersByTime(55_999);
    expect(limit.begin(1)).toBe('points');
    vi.advanceTimersByTime(2_001);
    expect(limit.begin(1)).toBeNull();
  });

  it('lasts longer with every call that ignores it, up to fifteen minutes', () => {
    const limit = new SecondaryLimit(DEFAULT_LIMITS);
    limit.block();
    vi.advanceTimersByTime(10_000);
    expect(limit.begin(1)).toBe('points');
    expect(limit.blockedUntil - Date.now()).toBe(52_000);
    for (let call = 0; call < 1_000; call++) limit.begin(1);
    expect(limit.blockedUntil - Date.now()).toBe(890_000);
  });

  it('counts calls at once until they have ended', () => {
    const limit = new SecondaryLimit({ ...DEFAULT_LIMITS, concurrentCalls: 2 });
    expect(limit.begin(1)).toBeNull();
    expect(limit.begin(1)).toBeNull();
    limit.end();
    expect(limit.begin(1)).toBeNull();
    expect(limit.begin(1)).toBe('concurrency');
    expect(limit.maxOpen).toBe(2);
  });

  it('counts no more than the points where it is switched off', () => {
    const limit = new SecondaryLimit({ ...DEFAULT_LIMITS, secondaryPoints: 0, concurrentCalls: 0 });
    spend(limit, 5_000);
    expect(limit.points).toBe(5_000);
  });
});
