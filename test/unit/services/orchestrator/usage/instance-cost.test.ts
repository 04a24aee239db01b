import { describe, expect, it } from 'vitest';
import type { PriceTable } from '../../../../../contracts/config/prices.ts';
import type { InstanceUse } from '../../../../../contracts/workflows/instance-use.ts';
import { computeCost } from '../../../../../services/orchestrator/usage/instance-cost.ts';

const prices: PriceTable = {
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

describe('the cost of an instance', () => {
  it.each([
    ['the on-demand price of its machine', use(30, { machine: 'm7i.large', market: 'on-demand' }), 0.06],
    ['the spot price of its machine', use(30, { machine: 'm7i.large', market: 'spot' }), 0.02],
    ['the one price of a machine that has no spot price', use(60, { machine: 'c7i.large', market: 'spot' }), 0.09],
    ['the price of `*` for a machine without its own price', use(60, { machine: 'r7i.large' }), 0.01],
    ['the price of `*` on a backend with one kind of machine', use(120), 0.02],
    ['the minimum of a minute for a shorter life', use(0.5, { machine: 'm7i.large', market: 'on-demand' }), 0.002],
    ['the minimum where the clock went back', use(-5), 0.01 / 60],
  ])('is %s', (_what, used, amount) => {
    expect(computeCost(used, prices)?.currency).toBe('EUR');
    expect(computeCost(used, prices)?.amount).toBeCloseTo(amount, 9);
  });

  it('is unknown without a price', () => {
    expect(computeCost(use(60), undefined)).toBeUndefined();
    expect(
      computeCost(use(60, { machine: 'x1.large' }), { currency: 'EUR', hourly: { 'm7i.large': 1 } }),
    ).toBeUndefined();
  });
});
