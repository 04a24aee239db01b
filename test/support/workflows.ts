import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createForgeActivities } from '../../activities/forges/activities.ts';
import { withFailures } from '../../activities/lib/failure.ts';
import { createDispatcherActivities } from '../../activities/signals/dispatcher-activities.ts';
import { createLocalActivities } from '../../activities/signals/local-activities.ts';
import { createRetirementQuestion } from '../../activities/signals/retirement.ts';
import { createSignaller } from '../../activities/signals/signaller.ts';
import {
  DISPATCHER_EVENTS,
  DISPATCHER_STATUS,
  DISPATCHER_WORKFLOW,
  type DispatcherEvent,
  type DispatcherSnapshot,
  dispatcherWorkflowId,
} from '../../contracts/workflows/dispatcher.ts';
import type { ForgeActivities } from '../../contracts/ports/forge-activities.ts';
import type { LocalActivities } from '../../contracts/ports/local-activities.ts';
import type { OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import type { SignalActivities } from '../../contracts/ports/signal-activities.ts';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { RUNNER_EVENTS, type RunnerEvent, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';
import { type MovedJob } from '../../contracts/workflows/job.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { Forge } from '../../contracts/ports/forge.ts';
import type { StartAllowance, StartPacer, WantedStarts } from '../../contracts/ports/start-pacer.ts';
import type { Takeover } from '../../contracts/workflows/takeover.ts';
import type { JobTags } from '../../contracts/ports/backend.ts';
import { parseGroupFromRunnerName } from '../../contracts/workflows/runner-name.ts';
import { dataConverter } from '../../services/shared/payload-codec.ts';
import { startTemporalServer } from '../../deploy/servers/temporal.ts';
import { until } from './until.ts';

const QUERY_TIMEOUT_MS = 15_000;

/** A fake backend and forge of one group: what they answer, and what they were asked to do. */
export interface FakeEdges {
  created: string[];
  deleted: string[];
  unregistered: string[];
  create: (runner: string) => Promise<void>;
  unregister: (runner: string) => 'removed' | 'absent' | 'busy';
  /** Called before an instance is deleted, which waits for it. */
  remove?: (runner: string) => Promise<void>;
  /** Called before runners are started, which waits for it. */
  beforeStart?: (runners: string[]) => Promise<void>;
  /** Called with what a dispatcher will take over, which it gets only afterwards. */
  takeOver?: (found: Takeover) => Promise<Takeover>;
  /** Says how many runners may start, where the group's name is its organisation's too. Default: all. */
  pace?: (wanted: WantedStarts) => Promise<StartAllowance>;
  /** Set where the backend can tag instances. */
  tag?: (tags: JobTags) => Promise<void>;
  /** Batches of uses, each recorded by one activity. */
  uses: InstanceUse[][];
  /** Called before uses are recorded, which waits for it. */
  beforeRecord?: () => Promise<void>;
}

const INSTALLATION = 'demo';

export interface WorkflowWorld {
  client: Client;
  edges(group: string): FakeEdges;
  /** Jobs that removed groups moved to other groups. */
  moved: MovedJob[];
  start(settings: GroupSettings): Promise<void>;
  /** Waits until an instance was created for the group; resolves with its runner's name. */
  firstRunner(group: string): Promise<string>;
  signal(group: string, events: DispatcherEvent[]): Promise<void>;
  signalRunner(group: string, runner: string, events: RunnerEvent[]): Promise<void>;
  getStatus(group: string): Promise<DispatcherSnapshot>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  /** Slots of each worker for workflow tasks, and for activities. Default: the SDK's. */
  slots?: number;
  /** Removes registrations, in place of the fake forge. */
  forge?: Forge;
  /** Until it resolves, neither forge nor bus answer. */
  outage?: Promise<void>;
}

/**
 * A real Temporal server and real workers with our workflows and their activities. Only the edges, backend, forge and bus, are
 * fakes: their contract suites test the real ones.
 */
export async function startWorkflowWorld({
  slots,
  outage,
  forge: realForge,
}: WorldOptions = {}): Promise<WorkflowWorld> {
  const dir = mkdtempSync(join(tmpdir(), 'baton-workflows-'));
  const server = await startTemporalServer({ dir, ui: false });
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
  const connection = await NativeConnection.connect({ address: server.address });
  const client = new Client({ connection, namespace: server.namespace, dataConverter });
  const groups = new Map<string, FakeEdges>();
  const edges = (group: string): FakeEdges => {
    const known = groups.get(group) ?? {
      created: [],
      deleted: [],
      unregistered: [],
      create: () => Promise.resolve(),
      unregister: () => 'absent' as const,
      uses: [],
    };
    groups.set(group, known);
    return known;
  };
  const moved: MovedJob[] = [];
  const findEdgesOfRunner = (runner: string): FakeEdges => edges(parseGroupFromRunnerName(INSTALLATION, runner) ?? '');
  const signaller = createSignaller(client);
  const pacer: StartPacer = {
    take: async (scope, _group, wanted) =>
      (await edges(scope.organization).pace?.(wanted)) ?? {
        allowed: wanted.jobs + wanted.idle,
        nextAt: null,
        perMinute: null,
        reason: null,
      },
  };
  const started = createDispatcherActivities(client, signaller.signalDispatcher, pacer);
  const orchestrator: OrchestratorActivities & LocalActivities = {
    ...createLocalActivities(signaller),
    ...started,
    startRunners: async (order) => {
      await edges(order.settings.name).beforeStart?.(order.runners);
      return await started.startRunners(order);
    },
    findTakeover: async (order) => {
      const found = await started.findTakeover(order);
      return (await edges(order.settings.name).takeOver?.(found)) ?? found;
    },
  };
  const mayRetire = createRetirementQuestion(client);
  const signals: Pick<SignalActivities, 'requestRetirement' | 'recordUses' | 'moveJobs' | 'recordDelegation'> = {
    requestRetirement: async ({ group, runner }) =>
      (await mayRetire(group, [runner])).has(runner) ? 'retire' : 'keep',
    recordDelegation: async () => await outage,
    recordUses: async ({ uses }) => {
      await outage;
      const group = edges(uses[0]?.group ?? '');
      await group.beforeRecord?.();
      group.uses.push(uses);
    },
    moveJobs: ({ jobs }) => {
      moved.push(...jobs);
      return Promise.resolve();
    },
  };
  const forge: Pick<ForgeActivities, 'removeRegistration' | 'findDelegatedJob'> = {
    findDelegatedJob: async () => {
      await outage;
      throw ApplicationFailure.nonRetryable('the fake forge has no such job');
    },
    removeRegistration: async ({ runner }) => {
      const answer = findEdgesOfRunner(runner).unregister(runner);
      await outage;
      if (answer !== 'busy') findEdgesOfRunner(runner).unregistered.push(runner);
      return answer;
    },
    ...(realForge && withFailures(createForgeActivities(realForge))),
  };
  const backend: Omit<BackendActivities, 'listInstances'> = {
    createInstance: async ({ runner }) => {
      await findEdgesOfRunner(runner).create(runner);
      findEdgesOfRunner(runner).created.push(runner);
      const taggable = findEdgesOfRunner(runner).tag && { taggable: true as const };
      return { instanceId: `instance of ${runner}`, ...taggable };
    },
    deleteInstance: async ({ runner }) => {
      await findEdgesOfRunner(runner).remove?.(runner);
      findEdgesOfRunner(runner).deleted.push(runner);
    },
    tagInstance: async ({ runner, tags }) => {
      await findEdgesOfRunner(runner).tag?.(tags);
      return 'tagged';
    },
    checkInstance: () => Promise.resolve('alive'),
  };
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: new DefaultLogger('ERROR'),
  });
  const shared = {
    connection,
    namespace: server.namespace,
    dataConverter,
    ...(slots !== undefined && {
      maxConcurrentWorkflowTaskExecutions: slots,
      maxConcurrentActivityTaskExecutions: slots,
    }),
  };
  const workers = [
    await Worker.create({ ...shared, taskQueue: TASK_QUEUE.orchestrator, workflowBundle, activities: orchestrator }),
    await Worker.create({ ...shared, taskQueue: TASK_QUEUE.runners, workflowBundle, activities: orchestrator }),
    await Worker.create({ ...shared, taskQueue: TASK_QUEUE.signals, activities: signals }),
    await Worker.create({ ...shared, taskQueue: TASK_QUEUE.forge, activities: forge }),
    await Worker.create({ ...shared, taskQueue: TASK_QUEUE.backendCreations('test'), activities: backend }),
    await Worker.create({ ...shared, taskQueue: TASK_QUEUE.backend('test'), activities: backend }),
  ];
  const running = workers.map((worker) => worker.run());
  return {
    client,
    edges: edges,
    moved,
    firstRunner: (group) =>
      until(() => {
        const [runner] = edges(group).created;
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
    signal: (group, events) => client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_EVENTS, events),
    signalRunner: (group, runner, events) =>
      client.workflow.getHandle(runnerWorkflowId(group, runner)).signal(RUNNER_EVENTS, events),
    getStatus: (group) =>
      // Without a limit, a question that the server loses would be waited for until the end of the test.
      client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
        client.workflow.getHandle(dispatcherWorkflowId(group)).query<DispatcherSnapshot>(DISPATCHER_STATUS),
      ),
    stop: async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await connection.close();
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
