import { proxyActivities, type ActivityInterfaceFor } from '@temporalio/workflow';
import type { SignalActivities } from '../../contracts/ports/signal-activities.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';

/** Activities that wait for other workflows or for the bus. @param summary what the activity does, for the UI */
export function proxySignalActivities(summary: string): ActivityInterfaceFor<SignalActivities> {
  return proxyActivities<SignalActivities>({
    taskQueue: TASK_QUEUE.signals,
    startToCloseTimeout: '1 min',
    retry: { initialInterval: '500 ms', maximumInterval: '15 s' },
    summary,
  });
}
