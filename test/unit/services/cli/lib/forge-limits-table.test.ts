import { describe, expect, it } from 'vitest';
import type { ForgeLimit } from '../../../../../contracts/messages/status.ts';
import { formatForgeLimits } from '../../../../../services/cli/lib/forge-limits-table.ts';

const call = (priority: ForgeLimit['calls'][number]['priority'], more: Partial<ForgeLimit['calls'][number]> = {}) => {
  return { priority, waiting: 0, longestWaitMs: 0, inFlight: 0, pointsUsed: 0, ...more };
};
const limit = (more: Partial<ForgeLimit>): ForgeLimit => ({
  name: 'app-5-1',
  waiting: 0,
  limit: 5000,
  remaining: 4000,
  resetAt: '2026-01-01T13:00:00.000Z',
  blockedUntil: null,
  blockedBy: null,
  pointsPerMinute: 900,
  maxInFlight: 30,
  calls: [call('registration'), call('removal'), call('background')],
  ...more,
});

describe('the calls to the forge in `baton status`', () => {
  it('are not shown while nothing happens', () => {
    expect(formatForgeLimits([limit({})])).toBe('');
  });

  it('are shown by App and priority', () => {
    const calls = [
      call('registration', { waiting: 12, longestWaitMs: 41_000, inFlight: 26, pointsUsed: 805 }),
      call('removal', { inFlight: 2, pointsUsed: 90 }),
      call('background', { waiting: 1, longestWaitMs: 3000, pointsUsed: 5 }),
    ];
    expect(formatForgeLimits([limit({ calls }), limit({ name: 'app-6-1' })]).split('\n')).toEqual([
      'FORGE    CALLS         WAITING          AT ONCE   POINTS OF A MINUTE',
      'app-5-1  registration  12, longest 41s  26        805',
      '         removal       0                2         90',
      '         background    1, longest 3s    0         5',
      '         all           13               28 of 30  900 of 900',
    ]);
  });

  it('name what blocks them, and how little is left of the hourly limit', () => {
    const blocked = limit({ blockedBy: 'GitHub’s secondary rate limit until 12:03:44Z', remaining: 100 });
    expect(formatForgeLimits([blocked])).toContain(
      'calls to the forge by app-5-1 wait: GitHub’s secondary rate limit until 12:03:44Z\n' +
        'app-5-1 has 100 of 5000 requests left until 2026-01-01T13:00:00.000Z',
    );
  });
});
