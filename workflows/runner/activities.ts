import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { BackendActivities } from '../../contracts/ports/backend-activities.ts';
import type { ForgeActivities } from '../../contracts/ports/forge-activities.ts';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';

/** After this time without a heartbeat, an activity goes to another worker. Activities send one every 3 s. */
const HEARTBEAT_TIMEOUT = '20 s';

/** Errors of a backend that answered: it does not let Baton delete. */
const REFUSALS = ['BACKEND_DENIED', 'BACKEND_REFUSED'];

export const forge = proxyActivities<Pick<ForgeActivities, 'removeRegistration'>>({
  taskQueue: TASK_QUEUE.forge,
  startToCloseTimeout: '5 min',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: { initialInterval: '1 s', maximumInterval: '1 min' },
  summary: 'remove the registration from the forge',
});

export const { requestRetirement } = proxySignalActivities('ask whether the group needs this runner');
export const { recordUses: recordOwnUse } = proxySignalActivities('record what the instance was used for');

export function proxyCreateInstance(
  settings: GroupSettings,
  runner: string,
): Pick<BackendActivities, 'createInstance'> {
  return proxyActivities<Pick<BackendActivities, 'createInstance'>>({
    taskQueue: TASK_QUEUE.backendCreations(settings.backend),
    // Retried until time-to-start has passed: an outage of the backend delays the runner, but does not fail it.
    scheduleToCloseTimeout: settings.timeToStartMs,
    startToCloseTimeout: '10 min',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    retry: { initialInterval: '1 s', maximumInterval: '30 s' },
    // The instance must not be deleted while it is still being created.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: `create instance ${runner}`,
  });
}

export function proxyDeleteInstance(
  settings: GroupSettings,
  runner: string,
): Pick<BackendActivities, 'deleteInstance'> {
  return proxyActivities<Pick<BackendActivities, 'deleteInstance'>>({
    taskQueue: TASK_QUEUE.backend(settings.backend),
    startToCloseTimeout: '10 min',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    // What the backend refuses comes back at once: the runner shows why, and asks again ever more slowly.
    retry: { initialInterval: '1 s', maximumInterval: '1 min', nonRetryableErrorTypes: REFUSALS },
    summary: `delete instance ${runner}`,
  });
}
