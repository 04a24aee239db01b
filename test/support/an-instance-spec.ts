import type { InstanceSpec } from '../../contracts/ports/backend.ts';

/** What an ordinary instance is made from; `more` is what is special about this one. */
export function anInstanceSpec(installation: string, runner: string, more: Partial<InstanceSpec> = {}): InstanceSpec {
  return {
    installation,
    group: 'linux',
    runner,
    pids: 200,
    user: '1001:1001',
    program: { directory: '/home/runner' },
    expiresAt: new Date(Date.now() + 600_000).toISOString(),
    ...more,
  };
}
