import { Worker, type NativeConnection, type WorkerOptions, type WorkerTuner } from '@temporalio/worker';
import { withFailures } from '../../activities/lib/failure.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { dataConverter } from '../shared/payload-codec.ts';
import { WorkerSet } from '../shared/worker-set.ts';
import type { WorkerActivities } from './activities.ts';
import type { StartSlots } from './start-slots.ts';
import { bundleWorkflows } from './workflow-threads/bundle.ts';
import { useQuickWorkflowThreads } from './workflow-threads/quick-threads.ts';

/**
 * The slots of each worker. deploy/docs/guides/operate.md explains them to whoever sizes an installation. A slot costs next to
 * nothing but what its work costs: the workflow tasks of a worker share one thread, and activities mostly wait.
 */
const SLOTS = {
  orchestrator: {
    // A workflow task takes its thread for milliseconds, but keeps its slot while a local activity sends its signal: more than the
    // thread can use, so that signals that wait for a slow server leave slots for starts.
    maxConcurrentWorkflowTaskExecutions: 100,
    maxConcurrentWorkflowTaskPolls: 10,
    // A workflow task has few local activities at a time: none of them ever waits for a slot.
    maxConcurrentLocalActivityExecutions: 200,
    // One of each dispatcher at a time: as many groups as can start runners at once.
    maxConcurrentActivityTaskExecutions: 100,
    maxConcurrentActivityTaskPolls: 10,
    // Dispatchers and delegations.
    maxCachedWorkflows: 500,
  },
  // With runners' workflow tasks on their own, a dispatcher never waits behind the tasks of hundreds of runners. Their slots:
  // see RUNNER_SLOTS.
  runners: {
    maxConcurrentWorkflowTaskPolls: 10,
    // About 60 kB each.
    maxCachedWorkflows: 1000,
  },
  // They wait for answers of workflows or of the bus: many questions at once become few, as they are sent in batches.
  signals: { maxConcurrentActivityTaskExecutions: 200, maxConcurrentActivityTaskPolls: 10 },
  // The forge's scheduler sends few calls at once, the most urgent first: it has to see those that wait.
  forge: { maxConcurrentActivityTaskExecutions: 200, maxConcurrentActivityTaskPolls: 5 },
  // A health check makes its calls one after the other. Those of many groups take their time.
  forgeBackground: { maxConcurrentActivityTaskExecutions: 20, maxConcurrentActivityTaskPolls: 2 },
} as const satisfies Record<keyof WorkerActivities, Partial<WorkerOptions>>;

/** As many as the orchestrator's worker has. Ten first tasks at a time keep its thread busy. */
export const RUNNER_SLOTS = { total: 100, kept: 10 };

/** Creates the workers of workflows and one for each kind of activity. Bundles the workflow code, which takes seconds. */
export async function createOrchestratorWorkers(options: {
  connection: NativeConnection;
  namespace: string;
  activities: WorkerActivities;
  /** For the workflow tasks of runners. */
  runnerSlots: StartSlots;
  log: Logger;
}): Promise<WorkerSet> {
  const { connection, namespace, activities, runnerSlots, log } = options;
  const tuner: WorkerTuner = {
    workflowTaskSlotSupplier: runnerSlots,
    localActivityTaskSlotSupplier: { type: 'fixed-size', numSlots: 200 },
    // It polls for neither.
    activityTaskSlotSupplier: { type: 'fixed-size', numSlots: 1 },
    nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: 1 },
  };
  useQuickWorkflowThreads(log);
  const workflowBundle = await bundleWorkflows();
  const create = async (name: keyof WorkerActivities, more: Partial<WorkerOptions> = {}): Promise<Worker> =>
    await Worker.create({
      connection,
      dataConverter,
      namespace,
      taskQueue: TASK_QUEUE[name],
      activities: withFailures(activities[name]),
      ...SLOTS[name],
      // The SDK's default holds heartbeats back for most of their timeout.
      maxHeartbeatThrottleInterval: '5 s',
      shutdownGraceTime: '20 s',
      shutdownForceTime: '30 s',
      ...more,
    });
  return new WorkerSet([
    await create('orchestrator', { workflowBundle }),
    await create('runners', { workflowBundle, tuner }),
    await create('signals'),
    await create('forge'),
    await create('forgeBackground'),
  ]);
}
