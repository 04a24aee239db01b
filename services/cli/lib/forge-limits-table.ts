import { formatDuration } from '../../../contracts/format.ts';
import type { ForgeLimit } from '../../../contracts/messages/status.ts';
import { formatTable } from './text-table.ts';

type Calls = ForgeLimit['calls'][number];

/** The calls to the forge by App and priority, and what holds them back; empty where nothing happens and nothing blocks. */
export function formatForgeLimits(limits: readonly ForgeLimit[]): string {
  const shown = limits.filter(({ calls, blockedBy }) => blockedBy !== null || calls.some(isActive));
  const rows = shown.flatMap(({ name, calls, pointsPerMinute, maxInFlight }) => {
    const sum = (count: (call: Calls) => number): number => calls.reduce((total, call) => total + count(call), 0);
    const lines = calls.map(({ priority, waiting, longestWaitMs, inFlight, pointsUsed }, index) => [
      index === 0 ? name : '',
      priority,
      waiting === 0 ? '0' : `${waiting}, longest ${formatDuration(longestWaitMs)}`,
      String(inFlight),
      pointsPerMinute === null ? '' : String(pointsUsed),
    ]);
    const inFlight = `${sum((call) => call.inFlight)} of ${maxInFlight}`;
    const points = pointsPerMinute === null ? '' : `${sum((call) => call.pointsUsed)} of ${pointsPerMinute}`;
    return [...lines, ['', 'all', String(sum((call) => call.waiting)), inFlight, points]];
  });
  const heading = ['FORGE', 'CALLS', 'WAITING', 'AT ONCE', 'POINTS OF A MINUTE'];
  const notes = limits.flatMap(({ name, blockedBy, limit, remaining, resetAt }) => [
    ...(blockedBy === null ? [] : [`calls to the forge by ${name} wait: ${blockedBy}`]),
    ...(limit !== null && remaining !== null && remaining < limit * LOW
      ? [`${name} has ${remaining} of ${limit} requests left until ${resetAt ?? '?'}`]
      : []),
  ]);
  return [...(rows.length === 0 ? [] : [formatTable([heading, ...rows])]), ...notes].join('\n');
}

/** Of the primary limit: below this, looking around stops. */
const LOW = 0.3;

function isActive({ waiting, inFlight, pointsUsed }: Calls): boolean {
  return waiting > 0 || inFlight > 0 || pointsUsed > 0;
}
