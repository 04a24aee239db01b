import { array, integer, property, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addUse,
  computeWindowWait,
  countUsed,
  hasWrongStamps,
  type WindowUses,
} from '../../../../activities/lib/sliding-window.ts';
import { checkProperty } from '../../../support/properties.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const MINUTE = { lengthMs: 60_000, slotMs: 500, marginMs: 1000 };
const CAP = 900;

describe('a sliding window of 900 a minute', () => {
  it('is free at once as a whole, and free again one window later', () => {
    expect(computeWindowWait([], MINUTE, CAP, CAP, NOW)).toBe(0);
    const full = addUse([], MINUTE, CAP, NOW);
    expect(computeWindowWait(full, MINUTE, CAP, 1, NOW)).toBe(61_500);
    expect(countUsed(full, MINUTE, NOW + 61_499)).toBe(CAP);
    expect(countUsed(full, MINUTE, NOW + 61_500)).toBe(0);
  });

  it('never lets more than the cap through in any 60 s, and uses nearly all of it', () => {
    let uses: WindowUses = [];
    const taken: [at: number, amount: number][] = [];
    let random = 7;
    for (let now = NOW; now < NOW + 300_000; now += 37) {
      random = (random * 48_271) % 2_147_483_647;
      const amount = random % 3 === 0 ? 5 : 1;
      // Wishes arrive in bursts: three quarters of the time nobody wants anything.
      if ((now >> 13) % 4 !== 0 || computeWindowWait(uses, MINUTE, CAP, amount, now) > 0) continue;
      uses = addUse(uses, MINUTE, amount, now);
      taken.push([now, amount]);
    }
    const most = Math.max(
      ...taken.map(([from]) =>
        taken.reduce((sum, [at, amount]) => (at >= from && at < from + 60_000 ? sum + amount : sum), 0),
      ),
    );
    expect(most).toBeLessThanOrEqual(CAP);
    expect(most).toBeGreaterThan(CAP - 10);
  });

  it('names the wait for many: when enough of the older uses has left, and whole windows for more than the cap', () => {
    let uses = addUse([], MINUTE, 600, NOW);
    uses = addUse(uses, MINUTE, 300, NOW + 20_000);
    const later = NOW + 30_000;
    expect(computeWindowWait(uses, MINUTE, CAP, 600, later)).toBe(31_500);
    expect(computeWindowWait(uses, MINUTE, CAP, 601, later)).toBe(51_500);
    expect(computeWindowWait(uses, MINUTE, CAP, 900 + 600, later)).toBe(31_500 + 61_500);
  });

  it('takes back what was not used, and keeps no old slots', () => {
    const uses = addUse(addUse([], MINUTE, 10, NOW), MINUTE, -10, NOW);
    expect(uses).toEqual([]);
    let many: WindowUses = [];
    for (let second = 0; second < 600; second++) many = addUse(many, MINUTE, 1, NOW + second * 1000);
    expect(many.length).toBeLessThanOrEqual(62);
  });
});

describe('a sliding window that several clocks stamp', () => {
  const stored = array(tuple(integer({ min: -200, max: 20_000 }), integer({ min: 1, max: 300 })), {
    maxLength: 12,
  }).map((uses): WindowUses => {
    const slots = new Map(uses.map(([ahead, amount]) => [Math.floor(NOW / MINUTE.slotMs) + ahead, amount]));
    return [...slots].sort(([a], [b]) => a - b);
  });
  const period = MINUTE.lengthMs + MINUTE.slotMs + MINUTE.marginMs;

  it('is never emptied by a clock that is behind: it counts what the newest use sees', () => {
    checkProperty(
      property(integer({ min: 0, max: 59_000 }), integer({ min: 1, max: CAP }), (behindMs, amount) => {
        const uses = addUse([], MINUTE, amount, NOW);
        expect(countUsed(uses, MINUTE, NOW - behindMs)).toBe(amount);
        const more = addUse(uses, MINUTE, 1, NOW - behindMs);
        expect(countUsed(more, MINUTE, NOW + 60_000)).toBe(amount + 1);
      }),
    );
  });

  it('counts whatever is stamped ahead, and is free again one window after it was stored anew', () => {
    checkProperty(
      property(stored, (uses) => {
        const restamped = addUse(uses, MINUTE, 0, NOW);
        expect(countUsed(restamped, MINUTE, NOW)).toBe(countUsed(uses, MINUTE, NOW));
        expect(hasWrongStamps(restamped, MINUTE, NOW)).toBe(false);
        // Those that are a little ahead are believed: they take that little longer.
        expect(countUsed(restamped, MINUTE, NOW + MINUTE.lengthMs + period)).toBe(0);
        expect(computeWindowWait(restamped, MINUTE, CAP, 1, NOW)).toBeLessThanOrEqual(MINUTE.lengthMs + period);
      }),
    );
  });

  it('keeps all uses of right clocks, in any order', () => {
    checkProperty(
      property(array(integer({ min: 0, max: 59_000 }), { maxLength: 50 }), (times) => {
        const uses = times.reduce<WindowUses>((sum, at) => addUse(sum, MINUTE, 1, NOW + at), []);
        expect(countUsed(uses, MINUTE, NOW + 59_000)).toBe(times.length);
      }),
    );
  });
});
