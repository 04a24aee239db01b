import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';
import type { Facts } from './facts.ts';

/** What an instance is billed as, and since when. */
export type Purchase = Pick<InstanceUse, 'machine' | 'market' | 'from'>;

/** What a runner's instance was used for, from its creation until now. */
export function toInstanceUse(
  settings: GroupSettings,
  runner: string,
  bought: Purchase,
  { job, hookJob }: Facts,
): InstanceUse {
  return {
    runner,
    group: settings.name,
    backend: settings.backend,
    ...bought,
    until: new Date().toISOString(),
    repository: job?.repository ?? hookJob?.repository,
    workflow: (job?.workflow ?? hookJob?.workflow)?.slice(0, 500),
    job: (job?.name ?? hookJob?.jobKey)?.slice(0, 500),
    jobId: job?.jobId,
  };
}
