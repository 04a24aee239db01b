/** What an instance was used for, from its creation to its end. Pure: workflow code imports this. */
export interface InstanceUse {
  runner: string;
  group: string;
  backend: string;
  /** As price tables name it; absent where the backend has one kind. */
  machine?: string | undefined;
  market?: 'spot' | 'on-demand' | undefined;
  /** ISO 8601 */
  from: string;
  until: string;
  /** `owner/name`; absent where no job ran. */
  repository?: string | undefined;
  workflow?: string | undefined;
  job?: string | undefined;
  jobId?: number | undefined;
}

/** Prices of one backend's machines. */
export interface Prices {
  currency: string;
  /** Milliseconds that are paid for at least. */
  minimum?: number | undefined;
  /** By machine; `*` is any other. */
  hourly: Record<string, number | { on_demand: number; spot: number }>;
}

const HOUR_MS = 3_600_000;

/** Milliseconds that an instance was there. */
export function useMs({ from, until }: Pick<InstanceUse, 'from' | 'until'>): number {
  return Math.max(0, Date.parse(until) - Date.parse(from));
}

/** What an instance cost, by a table of prices; undefined where the table has no price for it. */
export function costOf(use: InstanceUse, prices: Prices | undefined): { currency: string; amount: number } | undefined {
  const price = prices?.hourly[use.machine ?? '*'] ?? prices?.hourly['*'];
  if (prices === undefined || price === undefined) return undefined;
  const market = use.market === 'spot' ? 'spot' : 'on_demand';
  const hourly = typeof price === 'number' ? price : price[market];
  return { currency: prices.currency, amount: (hourly * Math.max(useMs(use), prices.minimum ?? 0)) / HOUR_MS };
}
