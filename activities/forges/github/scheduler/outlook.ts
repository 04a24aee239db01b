import type { RegistrationOutlook } from '../../../../contracts/ports/forge.ts';
import type { ScopeLimit } from './scope-limit.ts';

/** The outlook of several Apps that register in one scope: their rates together, up to the scope's own limit. */
export function mergeOutlooks(
  outlooks: readonly RegistrationOutlook[],
  scopes?: ScopeLimit,
  scope = '',
): RegistrationOutlook {
  // A blocked App registers nothing now; where all are, their usual rate is of use.
  const free = outlooks.filter(({ blocked }) => blocked === null);
  const counted = free.length > 0 ? free : outlooks;
  const rates = counted.map(({ perMinute }) => perMinute);
  const soonest = counted.toSorted((a, b) => a.waitMs - b.waitMs)[0];
  const together = rates.reduce((sum, rate) => (sum === null || rate === null ? null : sum + rate), 0);
  const outlook = {
    perMinute: together,
    perFiveMinutes: counted[0]?.perFiveMinutes ?? null,
    waitMs: soonest?.waitMs ?? 0,
    blocked: soonest?.blocked ?? null,
  };
  if (scopes === undefined || outlook.perFiveMinutes === null) return outlook;
  // Its limit shortens no minute: whoever paces starts counts five minutes beside each minute.
  const waitMs = scopes.getRoom(scope) > 0 ? 0 : scopes.getWait(scope, 1);
  return { ...outlook, waitMs: Math.max(outlook.waitMs, waitMs) };
}
