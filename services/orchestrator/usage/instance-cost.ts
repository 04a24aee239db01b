import type { PriceTable } from '../../../contracts/config/prices.ts';
import type { InstanceUse } from '../../../contracts/workflows/instance-use.ts';

const HOUR_MS = 3_600_000;

/** Milliseconds that an instance existed. */
export function instanceMs({ from, until }: Pick<InstanceUse, 'from' | 'until'>): number {
  return Math.max(0, Date.parse(until) - Date.parse(from));
}

/** What an instance cost by a table of prices; undefined where the table has no price for it. */
export function computeCost(
  use: InstanceUse,
  prices: PriceTable | undefined,
): { currency: string; amount: number } | undefined {
  const price = prices?.hourly[use.machine ?? '*'] ?? prices?.hourly['*'];
  if (prices === undefined || price === undefined) return undefined;
  const market = use.market === 'spot' ? 'spot' : 'on_demand';
  const hourly = typeof price === 'number' ? price : price[market];
  return { currency: prices.currency, amount: (hourly * Math.max(instanceMs(use), prices.minimum ?? 0)) / HOUR_MS };
}
