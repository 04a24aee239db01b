import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActorActivities, dispatcherTeller } from '../../activities/signals/signal-activities.ts';
import {
  DISPATCHER_NEWS,
  DISPATCHER_STATUS,
  dispatcherWorkflowId,
  RUNNER_NEWS,
  runnerWorkflowId,
  TASK_QUEUE,
  WORKFLOW,
  type BackendActivities,
  type DispatcherNews,
  type DispatcherSnapshot,
  type GroupSettings,
  type MovedJob,
  type OrchestratorActivities,
  type RunnerNews,
} from '../../contracts/workflows/actors.ts';
import type { HealthActivities } from '../../contracts/workflows/health.ts';
import type { JobTags } from '../../contracts/ports/backend.ts';
import { groupOfRunner } from '../../contracts/workflows/runner-name.ts';
import { dataConverter } from '../../services/shared/payload-codec.ts';
import { startTemporal } from '../../deploy/servers/temporal.ts';

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

const MANAGER = 'demo';

export interface ActorsFixture {
  client: Client;
  outside(group: string): Outside;
  /** Jobs that removed groups gave away. */
  moved: MovedJob[];
  settings(name: string, more?: Partial<GroupSettings>): GroupSettings;
  start(settings: GroupSettings): Promise<void>;
  tell(group: string, news: DispatcherNews[]): Promise<void>;
  tellRunner(group: string, runner: string, news: RunnerNews[]): Promise<void>;
  ask(group: string): Promise<DispatcherSnapshot>;
  stop(): Promise<void>;
}

/**
 * A real Temporal server and a real worker with our workflows and the actors' own activities. Only the two edges, a
 * backend and a forge, are the test's: their contract suites hold the real ones.
 */
export async function startActors(): Promise<ActorsFixture> {
  const dir = mkdtempSync(join(tmpdir(), 'baton-actors-'));
  const server = await startTemporal({ dir, ui: false });
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
  const outsideOf = (runner: string): Outside => outside(groupOfRunner(MANAGER, runner) ?? '');
  const deeds = createActorActivities(client, dispatcherTeller(client), () => Promise.resolve());
  const orchestrator: Omit<OrchestratorActivities, keyof HealthActivities> = {
    ...deeds,
    startRunners: async (order) => {
      await outside(order.settings.name).beforeStart?.(order.runners);
      await deeds.startRunners(order);
    },
    moveJobs: ({ jobs }) => {
      moved.push(...jobs);
      return Promise.resolve();
    },
    removeRegistration: ({ runner }) => {
      const answer = outsideOf(runner).unregister(runner);
      if (answer !== 'busy') outsideOf(runner).unregistered.push(runner);
      return Promise.resolve(answer);
    },
  };
  const backend: Omit<BackendActivities, 'listInstances'> = {
    createInstance: async ({ runner }) => {
      await outsideOf(runner).create(runner);
      outsideOf(runner).created.push(runner);
      const taggable = outsideOf(runner).tag && { taggable: true as const };
      return { instanceId: `instance of ${runner}`, ...taggable };
    },
    deleteInstance: ({ runner }) => {
      outsideOf(runner).deleted.push(runner);
      return Promise.resolve();
    },
    tagInstance: async ({ runner, tags }) => {
      await outsideOf(runner).tag?.(tags);
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
    settings: (name, more = {}) => ({
      manager: MANAGER,
      name,
      forge: 'github',
      scope: { organization: 'acme' },
      labels: ['linux'],
      max: 10,
      min: 0,
      backend: 'test',
      backendMax: null,
      priority: 3,
      timeToStartMs: 60_000,
      timeToLiveMs: 600_000,
      instance: { pids: 100, user: '1001', program: { directory: '/home/runner' } },
      ...more,
    }),
    start: async (settings) => {
      await client.workflow.start(WORKFLOW.dispatcher, {
        workflowId: dispatcherWorkflowId(settings.name),
        taskQueue: TASK_QUEUE.orchestrator,
        args: [{ settings }],
      });
    },
    tell: (group, news) => client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_NEWS, news),
    tellRunner: (group, runner, news) =>
      client.workflow.getHandle(runnerWorkflowId(group, runner)).signal(RUNNER_NEWS, news),
    ask: (group) => client.workflow.getHandle(dispatcherWorkflowId(group)).query<DispatcherSnapshot>(DISPATCHER_STATUS),
    stop: async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await connection.close();
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
