import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { StoredMsg } from 'nats';
import { z } from 'zod';
import { RUNNER_WORKFLOW, runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { dispatcherWorkflowId } from '../../../contracts/workflows/dispatcher.ts';
import { TASK_QUEUE } from '../../../contracts/workflows/task-queues.ts';
import { connectBus, encode, type Bus } from '../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { testGroup, writeConfig } from '../../support/config.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { connectUnrestricted } from '../../support/unrestricted-bus.ts';
import { startTemporal, type TestTemporal } from '../../support/temporal.ts';
import { until } from '../../support/until.ts';
import { end, recorded } from './recorders.workflow.ts';

const recordedSignals = z.array(z.array(z.looseObject({ type: z.string() })));

export type RecordedEvent = z.infer<typeof recordedSignals>[number][number];

/** Real NATS and Temporal servers, and a worker whose dispatcher and runner workflows only record their signals. */
export interface RelayWorld {
  nats: TestNats;
  temporal: TestTemporal;
  bus: Bus;
  client: Client;
  /** Path of the relays' configuration file. */
  config: string;
  /** Publishes a job event with its delivery as message id. */
  publishJob(event: JobEvent): Promise<void>;
  publish(subject: string, body: unknown, id?: string): Promise<void>;
  /** The events that a group's dispatcher received, one array per signal; empty where there is no dispatcher. */
  dispatcherSignals(group: string): Promise<RecordedEvent[][]>;
  runnerSignals(group: string, runner: string): Promise<RecordedEvent[][]>;
  startRunner(group: string, runner: string): Promise<void>;
  endRunner(group: string, runner: string): Promise<void>;
  deadLetters(): Promise<StoredMsg[]>;
  /** Resolves when the streams of webhooks, signals and deaths are empty. */
  untilQueuesEmpty(timeoutMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export interface RelayWorldOptions {
  /** A NATS server in operator mode, and the folder of its set-up. */
  secured?: { nats: TestNats; operator: string };
}

/** Starts a {@link RelayWorld}. */
export async function startRelayWorld({ secured }: RelayWorldOptions = {}): Promise<RelayWorld> {
  const folder = temporaryFolder('relay');
  const [nats, temporal] = await Promise.all([secured?.nats ?? startNats(), startTemporal()]);
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: 'ERROR', forward: {} } },
  });
  const bus = secured
    ? await connectUnrestricted(secured.operator, nats.address)
    : await connectBus({ url: nats.address, name: 'test' });
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: temporal.namespace });
  const workerConnection = await NativeConnection.connect({ address: temporal.address });
  const worker = await Worker.create({
    connection: workerConnection,
    namespace: temporal.namespace,
    taskQueue: TASK_QUEUE.orchestrator,
    workflowBundle: await bundleWorkflowCode({
      workflowsPath: fileURLToPath(new URL('recorders.workflow.ts', import.meta.url)),
      logger: new DefaultLogger('ERROR'),
    }),
  });
  const running = worker.run();
  const config = writeConfig(folder.path, {
    nats: nats.address,
    temporal: temporal.address,
    groups: [
      testGroup('linux', ['self-hosted', 'linux', 'x64']),
      testGroup('gpu', ['self-hosted', 'linux', 'x64', 'gpu']),
    ],
  });
  const jetstream = bus.jetstream();

  async function queryRecorded(workflowId: string): Promise<RecordedEvent[][]> {
    try {
      return recordedSignals.parse(await client.workflow.getHandle(workflowId).query(recorded));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return [];
      throw error;
    }
  }

  const world: RelayWorld = {
    nats,
    temporal,
    bus,
    client,
    config,
    publish: async (subject, body, id = randomUUID()) => {
      await jetstream.publish(subject, body instanceof Uint8Array ? body : encode(body), {
        msgID: id,
        timeout: 60_000,
      });
    },
    publishJob: (event) => world.publish(subjects.webhook('github', 'workflow_job'), event, event.delivery),
    dispatcherSignals: (group) => queryRecorded(dispatcherWorkflowId(group)),
    runnerSignals: (group, runner) => queryRecorded(runnerWorkflowId(group, runner)),
    startRunner: async (group, runner) => {
      await client.workflow.start(RUNNER_WORKFLOW, {
        workflowId: runnerWorkflowId(group, runner),
        taskQueue: TASK_QUEUE.orchestrator,
      });
    },
    endRunner: async (group, runner) => {
      const handle = client.workflow.getHandle(runnerWorkflowId(group, runner));
      await handle.signal(end);
      await handle.result();
    },
    deadLetters: async () => {
      const jetstreamManager = await bus.jetstreamManager();
      const { state } = await jetstreamManager.streams.info(STREAMS.dead.name);
      const sequences = Array.from({ length: state.messages }, (_, index) => state.first_seq + index);
      return Promise.all(sequences.map((seq) => jetstreamManager.streams.getMessage(STREAMS.dead.name, { seq })));
    },
    untilQueuesEmpty: async (timeoutMs = 60_000) => {
      const jetstreamManager = await bus.jetstreamManager();
      await until(
        async () => {
          const infos = await Promise.all(
            [STREAMS.webhooks, STREAMS.signals, STREAMS.instances].map(({ name }) =>
              jetstreamManager.streams.info(name),
            ),
          );
          return infos.every(({ state }) => state.messages === 0);
        },
        { what: 'the streams of webhooks, signals and deaths are empty', timeoutMs: timeoutMs },
      );
    },
    stop: async () => {
      worker.shutdown();
      await running;
      await workerConnection.close();
      await connection.close();
      await bus.close();
      await Promise.all([nats.stop(), temporal.stop()]);
      folder.remove();
    },
  };
  return world;
}

let job = 1000;

/** A job event as ingress publishes it, by default of a new job. */
export function aJobEvent(
  action: JobEvent['action'],
  more: { id?: number; labels?: string[]; runner?: string; owner?: string; delivery?: string } = {},
): JobEvent {
  job += 1;
  const owner = more.owner ?? 'octo-org';
  return {
    version: 1,
    forge: 'github',
    delivery: more.delivery ?? randomUUID(),
    action,
    receivedAt: new Date().toISOString(),
    job: {
      id: more.id ?? job,
      runId: 1,
      runAttempt: 1,
      name: 'test',
      workflow: 'Build',
      headBranch: 'main',
      labels: more.labels ?? ['self-hosted', 'linux'],
      conclusion: action === 'completed' ? 'success' : null,
      createdAt: null,
      startedAt: null,
      completedAt: null,
      url: null,
      runnerId: more.runner === undefined ? null : 7,
      runnerName: more.runner ?? null,
      runnerGroup: null,
    },
    repository: { fullName: `${owner}/octo-repo`, owner, name: 'octo-repo', private: false },
    organization: owner,
    installationId: null,
  };
}
