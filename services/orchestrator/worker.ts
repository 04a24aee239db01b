import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, Worker, type NativeConnection } from '@temporalio/worker';
import { withFailures } from '../../activities/lib/failure.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { dataConverter } from '../shared/payload-codec.ts';
import { createWorkerLogger } from '../shared/worker-log.ts';
import { useQuickWorkflowThreads } from './workflow-threads/quick-threads.ts';

const WORKFLOWS = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

/** The worker that runs all workflows and the orchestrator's activities. Bundles the workflow code, which takes seconds. */
export async function createOrchestratorWorker(options: {
  connection: NativeConnection;
  namespace: string;
  activities: object;
  log: Logger;
}): Promise<Worker> {
  const { connection, namespace, activities, log } = options;
  useQuickWorkflowThreads(log);
  return await Worker.create({
    connection,
    dataConverter,
    namespace,
    taskQueue: TASK_QUEUE.orchestrator,
    workflowBundle: await bundleWorkflowCode({
      workflowsPath: WORKFLOWS,
      // Loaded once, not once per workflow: they keep no state of their own, and the SDK freezes them.
      preloadModules: [WORKFLOWS],
      logger: createWorkerLogger(log),
    }),
    activities: withFailures(activities),
    // About 300 kB each: 1,000 cached workflows of busy or idle runners take 300 MB.
    maxCachedWorkflows: 1000,
    // The SDK's default holds heartbeats back for most of their timeout.
    maxHeartbeatThrottleInterval: '5 s',
    shutdownGraceTime: '20 s',
    shutdownForceTime: '30 s',
  });
}
