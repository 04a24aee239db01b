import { describe, expect, it } from 'vitest';
import { costOf, type InstanceUse, type Prices } from '../../../../contracts/workflows/instance-use.ts';

const prices: Prices = {
  currency: 'EUR',
  minimum: 60_000,
  hourly: { 'm7i.large': { on_demand: 0.12, spot: 0.04 }, 'c7i.large': 0.09, '*': 0.01 },
};

function use(minutes: number, more: Partial<InstanceUse> = {}): InstanceUse {
  const from = new Date('2026-11-21T10:00:00Z');
  const until = new Date(from.getTime() + minutes * 60_000);
  const times = { from: from.toISOString(), until: until.toISOString() };
  return { runner: 'ci-linux-aaaaaaaa', group: 'linux', backend: 'aws', ...times, ...more };
}

describe('what an instance costs', () => {
  it.each([
    ['on demand', use(30, { machine: 'm7i.large', market: 'on-demand' }), 0.06],
    ['on spot', use(30, { machine: 'm7i.large', market: 'spot' }), 0.02],
    ['with one price for both', use(60, { machine: 'c7i.large', market: 'spot' }), 0.09],
    ['by the price of all others', use(60, { machine: 'r7i.large' }), 0.01],
    ['on a backend with one kind', use(120), 0.02],
    ['for a minute at least', use(0.5, { machine: 'm7i.large', market: 'on-demand' }), 0.002],
    ['with clocks that went back', use(-5), 0.01 / 60],
  ])('%s', (_what, used, amount) => {
    expect(costOf(used, prices)?.currency).toBe('EUR');
    expect(costOf(used, prices)?.amount).toBeCloseTo(amount, 9);
  });

  it('is not known without a price', () => {
    expect(costOf(use(60), undefined)).toBeUndefined();
    expect(costOf(use(60, { machine: 'x1.large' }), { currency: 'EUR', hourly: { 'm7i.large': 1 } })).toBeUndefined();
  });
});
