import { Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { withFailures } from '../../activities/lib/failure.ts';
import type { BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { dataConverter } from '../shared/payload-codec.ts';
import { WorkerSet } from '../shared/worker-set.ts';

/**
 * The workers of one backend: creations have slots of their own, so that no deletion and no check waits behind them.
 *
 * @param options.slots how many activities each of the workers runs at once; by default the SDK's 100
 */
export async function createBackendWorkers(options: {
  connection: NativeConnection;
  namespace: string;
  /** The backend's name. */
  name: string;
  activities: BackendActivities;
  slots?: number;
}): Promise<WorkerSet> {
  const { connection, namespace, name, slots } = options;
  const shared: Omit<WorkerOptions, 'taskQueue'> = {
    connection,
    dataConverter,
    namespace,
    // Its only slots: no workflows run here, and so no local activities.
    ...(slots !== undefined && { maxConcurrentActivityTaskExecutions: slots }),
    maxConcurrentActivityTaskPolls: 10,
    // An activity learns of its cancellation by a heartbeat; the SDK's default holds heartbeats back for most of their timeout.
    maxHeartbeatThrottleInterval: '2 s',
    // Enough to finish creating or deleting an instance.
    shutdownGraceTime: '30 s',
    shutdownForceTime: '45 s',
  };
  const activities = withFailures(options.activities);
  const creations: Pick<BackendActivities, 'createInstance'> = {
    createInstance: (spec) => activities.createInstance(spec),
  };
  const others: Partial<BackendActivities> = { ...activities };
  delete others.createInstance;
  const create = (taskQueue: string, served: Partial<BackendActivities>): Promise<Worker> =>
    Worker.create({ ...shared, taskQueue, activities: served });
  return new WorkerSet([
    await create(TASK_QUEUE.backendCreations(name), creations),
    await create(TASK_QUEUE.backend(name), others),
  ]);
}
