import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';
import type { Facts } from './facts.ts';

/** As what an instance is paid for, and since when. */
export type Bought = Pick<InstanceUse, 'machine' | 'market' | 'from'>;

/** What a runner's instance was used for, from its creation until now. */
export function useOf(settings: GroupSettings, runner: string, bought: Bought, { job, hookJob }: Facts): InstanceUse {
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
