import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';

const used = new Map<string, number>();

/** A name that no group has had in this process: the name itself at first, then with a number. */
export function freshName(name: string): string {
  const count = (used.get(name) ?? 0) + 1;
  used.set(name, count);
  return count === 1 ? name : `${name}-${count}`;
}

/** The settings of an ordinary group; `more` is what is special about this one. */
export function aGroup(name: string, more: Partial<GroupSettings> = {}): GroupSettings {
  return {
    installation: 'demo',
    name,
    forge: 'github',
    scope: { organization: 'acme' },
    labels: ['linux'],
    max: 10,
    min: 0,
    backend: 'test',
    backendMax: null,
    priority: 3,
    timeToStartMs: 60_000,
    timeToLiveMs: 600_000,
    instance: { pids: 100, user: '1001', program: { directory: '/home/runner' } },
    ...more,
  };
}
