import type { ObservedInstance } from '../workflows/health.ts';
import type { Instance, InstanceSpec, JobTags } from './backend.ts';

/** An instance that was created, and what it is billed as. */
export interface CreatedInstance extends Pick<Instance, 'machine' | 'market'> {
  instanceId: string;
  /** Set if its backend can change its tags later. */
  taggable?: true | undefined;
}

/** Activities on a backend's task queue. */
export interface BackendActivities {
  createInstance(spec: InstanceSpec): Promise<CreatedInstance>;
  /** Resolves only when the backend confirms that nothing of the instance is left. */
  deleteInstance(order: { runner: string }): Promise<void>;
  /** `absent` only where the backend answers that there is none. */
  checkInstance(order: { runner: string }): Promise<'alive' | 'dead' | 'absent'>;
  /** Writes tags on the instance; `absent` only where the backend answers that there is none. */
  tagInstance(order: { runner: string; tags: JobTags }): Promise<'tagged' | 'absent'>;
  /** All instances of the group, including dead ones that still hold resources. */
  listInstances(order: { group: string }): Promise<ObservedInstance[]>;
}
