import type { Duration } from '@temporalio/common';
import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import { type BackendActivities } from '../../../contracts/ports/backend-activities.ts';
import { TASK_QUEUE } from '../../../contracts/workflows/task-queues.ts';
import type { InstanceSpec } from '../../../contracts/ports/backend.ts';

export type Order =
  { do: 'create'; spec: InstanceSpec } | { do: 'delete'; runner: string } | { do: 'check'; runner: string };

/** Runs one activity of a backend, as the runner's workflow does. */
export async function order(backend: string, wanted: Order, heartbeatTimeout: Duration = '20 s'): Promise<unknown> {
  const options = {
    startToCloseTimeout: '1 min',
    heartbeatTimeout,
    retry: { initialInterval: '100 ms' },
  } as const;
  const activities = proxyActivities<BackendActivities>({ ...options, taskQueue: TASK_QUEUE.backend(backend) });
  const creations = proxyActivities<BackendActivities>({ ...options, taskQueue: TASK_QUEUE.backendCreations(backend) });
  switch (wanted.do) {
    case 'create':
      return creations.createInstance(wanted.spec);
    case 'delete':
      return activities.deleteInstance({ runner: wanted.runner });
    case 'check':
      return activities.checkInstance({ runner: wanted.runner });
    default:
      throw ApplicationFailure.nonRetryable('no such order');
  }
}
