import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createSignalActivities, createDispatcherSignaller } from '../../activities/signals/signal-activities.ts';
import {
  DISPATCHER_EVENTS,
  DISPATCHER_STATUS,
  DISPATCHER_WORKFLOW,
  type DispatcherEvent,
  type DispatcherSnapshot,
  dispatcherWorkflowId,
} from '../../contracts/workflows/dispatcher.ts';
import { type OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { RUNNER_EVENTS, type RunnerEvent, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { type MovedJob } from '../../contracts/workflows/job.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { HealthActivities } from '../../contracts/ports/health-activities.ts';
import type { JobTags } from '../../contracts/ports/backend.ts';
import { parseGroupFromRunnerName } from '../../contracts/workflows/runner-name.ts';
import { dataConverter } from '../../services/shared/payload-codec.ts';
import { startTemporalServer } from '../../deploy/servers/temporal.ts';
import { until } from './until.ts';

/** The outside of one group's actors under a test's control: what a backend and a forge answer, and what they did. */
export interface Outside {
  created: string[];
  deleted: string[];
  unregistered: string[];
  create: (runner: string) => Promise<void>;
  unregister: (runner: string) => 'removed' | 'absent' | 'busy';
  /** Called before runners are started: holds that up. */
  beforeStart?: (runners: string[]) => Promise<void>;
  /** Given where the backend can tag: what it does with them. */
  tag?: (tags: JobTags) => Promise<void>;
}

const INSTALLATION = 'demo';

export interface ActorsFixture {
  client: Client;
  outside(group: string): Outside;
  /** Jobs that removed groups gave away. */
  moved: MovedJob[];
  start(settings: GroupSettings): Promise<void>;
  /** Waits until an instance was created for the group; resolves with its runner's name. */
  firstRunner(group: string): Promise<string>;
  signal(group: string, news: DispatcherEvent[]): Promise<void>;
  signalRunner(group: string, runner: string, news: RunnerEvent[]): Promise<void>;
  getStatus(group: string): Promise<DispatcherSnapshot>;
  stop(): Promise<void>;
}

/**
 * A real Temporal server and a real worker with our workflows and the actors' own activities. Only the two edges, a
 * backend and a forge, are the test's: their contract suites hold the real ones.
 */
export async function startActors(): Promise<ActorsFixture> {
  const dir = mkdtempSync(join(tmpdir(), 'baton-actors-'));
  const server = await startTemporalServer({ dir, ui: false });
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
  const connection = await NativeConnection.connect({ address: server.address });
  const client = new Client({ connection, namespace: server.namespace, dataConverter });
  const groups = new Map<string, Outside>();
  const outside = (group: string): Outside => {
    const known = groups.get(group) ?? {
      created: [],
      deleted: [],
      unregistered: [],
      create: () => Promise.resolve(),
      unregister: () => 'absent' as const,
    };
    groups.set(group, known);
    return known;
  };
  const moved: MovedJob[] = [];
  const findOutside = (runner: string): Outside => outside(parseGroupFromRunnerName(INSTALLATION, runner) ?? '');
  const activities = createSignalActivities(client, createDispatcherSignaller(client), () => Promise.resolve());
  const orchestrator: Omit<OrchestratorActivities, keyof HealthActivities> = {
    ...activities,
    startRunners: async (order) => {
      await outside(order.settings.name).beforeStart?.(order.runners);
      await activities.startRunners(order);
    },
    moveJobs: ({ jobs }) => {
      moved.push(...jobs);
      return Promise.resolve();
    },
    removeRegistration: ({ runner }) => {
      const answer = findOutside(runner).unregister(runner);
      if (answer !== 'busy') findOutside(runner).unregistered.push(runner);
      return Promise.resolve(answer);
    },
  };
  const backend: Omit<BackendActivities, 'listInstances'> = {
    createInstance: async ({ runner }) => {
      await findOutside(runner).create(runner);
      findOutside(runner).created.push(runner);
      const taggable = findOutside(runner).tag && { taggable: true as const };
      return { instanceId: `instance of ${runner}`, ...taggable };
    },
    deleteInstance: ({ runner }) => {
      findOutside(runner).deleted.push(runner);
      return Promise.resolve();
    },
    tagInstance: async ({ runner, tags }) => {
      await findOutside(runner).tag?.(tags);
      return 'tagged';
    },
    checkInstance: () => Promise.resolve('alive'),
  };
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: new DefaultLogger('ERROR'),
  });
  const shared = { connection, namespace: server.namespace, dataConverter };
  const workers = [
    await Worker.create({ ...shared, taskQueue: TASK_QUEUE.orchestrator, workflowBundle, activities: orchestrator }),
    await Worker.create({ ...shared, taskQueue: TASK_QUEUE.backend('test'), activities: backend }),
  ];
  const running = workers.map((worker) => worker.run());
  return {
    client,
    outside,
    moved,
    firstRunner: (group) =>
      until(() => {
        const [runner] = outside(group).created;
        if (runner === undefined) throw new Error(`no instance was created for the group ${group}`);
        return runner;
      }),
    start: async (settings) => {
      await client.workflow.start(DISPATCHER_WORKFLOW, {
        workflowId: dispatcherWorkflowId(settings.name),
        taskQueue: TASK_QUEUE.orchestrator,
        args: [{ settings }],
      });
    },
    signal: (group, news) => client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_EVENTS, news),
    signalRunner: (group, runner, news) =>
      client.workflow.getHandle(runnerWorkflowId(group, runner)).signal(RUNNER_EVENTS, news),
    getStatus: (group) =>
      client.workflow.getHandle(dispatcherWorkflowId(group)).query<DispatcherSnapshot>(DISPATCHER_STATUS),
    stop: async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await connection.close();
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
