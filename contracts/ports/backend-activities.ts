import type { ObservedInstance } from '../workflows/health.ts';
import type { Instance, InstanceSpec, JobTags } from './backend.ts';

/** An instance that was created, and what it is billed as. */
export interface CreatedInstance extends Pick<Instance, 'machine' | 'market'> {
  instanceId: string;
  /** Its backend can change its tags later. Absent: it cannot, and is not asked to. */
  taggable?: true | undefined;
}

/** Activities on a backend's task queue. */
export interface BackendActivities {
  createInstance(spec: InstanceSpec): Promise<CreatedInstance>;
  /** Resolves only when the backend says that nothing of the instance is left. */
  deleteInstance(order: { runner: string }): Promise<void>;
  /** `absent` only where the backend answers that there is none. */
  checkInstance(order: { runner: string }): Promise<'alive' | 'dead' | 'absent'>;
  /** Writes on the instance what its runner does; `absent` only where the backend answers that there is none. */
  tagInstance(order: { runner: string; tags: JobTags }): Promise<'tagged' | 'absent'>;
  /** All instances of the group, including dead ones that still hold resources. */
  listInstances(order: { group: string }): Promise<ObservedInstance[]>;
}
