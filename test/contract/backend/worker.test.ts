import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectBus, decode, type Bus } from '../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects, wildcards } from '../../../contracts/messages/subjects.ts';
import { instanceCreated, instanceDied, type InstanceCreated } from '../../../contracts/messages/runner-signal.ts';
import { createRunnerName } from '../../../contracts/workflows/runner-name.ts';
import { createOperatorSetup, type OperatorSetup } from '../../../deploy/nats/operator.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';
import { startTemporal, type TestTemporal } from '../../support/temporal.ts';
import { anInstanceSpec } from '../../support/an-instance-spec.ts';
import { connectUnrestricted } from '../../support/unrestricted-bus.ts';
import { until } from '../../support/until.ts';
import type { order, Order } from './order.workflow.ts';

const INSTALLATION = 'worker-test';
const folder = temporaryFolder('worker');
const root = join(folder.path, 'instances');

let nats: TestNats;
let temporal: TestTemporal;
let setup: OperatorSetup;
let client: Client;
let orders: Worker;
let ordersRun: Promise<void>;
let streams: Bus;
let observer: Bus;
let config: string;
const running: TestService[] = [];

beforeAll(async () => {
  setup = await createOperatorSetup(join(folder.path, 'operator'));
  [nats, temporal] = await Promise.all([startNats({ operator: setup }), startTemporal()]);
  config = join(folder.path, 'baton.yaml');
  writeFileSync(
    config,
    stringify({
      name: INSTALLATION,
      forge: { token: '${FORGE_TOKEN}' },
      webhook: { secrets: ['${WEBHOOK_SECRET}'] },
      temporal: { address: temporal.address },
      nats: { url: nats.address, account: setup.runnerAccountPublicKey, runner_signing_key: '${SIGNING_KEY}' },
      backends: { here: { type: 'local', root } },
      groups: [{ name: 'linux', organization: 'octo-org', labels: ['linux'], backend: 'here' }],
    }),
  );
  streams = await connectUnrestricted(join(folder.path, 'operator'), nats.address);
  observer = await connectBus({ url: nats.address, name: 'observer', credentialsFile: setup.credentials.observer });
  const connection = await NativeConnection.connect({ address: temporal.address });
  orders = await Worker.create({
    connection,
    taskQueue: 'orders',
    workflowsPath: fileURLToPath(new URL('order.workflow.ts', import.meta.url)),
  });
  ordersRun = orders.run();
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
});

afterAll(async () => {
  for (const service of running) await service.kill();
  orders.shutdown();
  await ordersRun;
  await streams.close();
  await observer.close();
  await client.connection.close();
  await temporal.stop();
  await nats.stop();
  folder.remove();
});

async function startBackend(): Promise<TestService> {
  const service = await startService('backend', {
    config,
    args: ['here'],
    env: { BATON_NATS_CREDENTIALS: setup.credentials.backend, SIGNING_KEY: setup.runnerSigningKeySeed },
  });
  running.push(service);
  await service.ready();
  return service;
}

function newRunner(): string {
  return createRunnerName(INSTALLATION, 'linux', randomUUID());
}

async function ask(wanted: Order): Promise<unknown> {
  return client.workflow.execute<typeof order>('order', {
    workflowId: randomUUID(),
    taskQueue: 'orders',
    args: ['here', wanted],
  });
}

/** The runners of all messages about deaths in the stream. */
async function deaths(): Promise<string[]> {
  const jetstreamManager = await streams.jetstreamManager();
  const { messages, first_seq: first } = (await jetstreamManager.streams.info(STREAMS.instances.name)).state;
  const found: string[] = [];
  for (let sequence = first; sequence < first + messages; sequence++) {
    const message = await jetstreamManager.streams.getMessage(STREAMS.instances.name, { seq: sequence });
    if (!message.subject.endsWith('.died')) continue;
    const { runner } = instanceDied.parse(decode(message.data));
    expect(message.subject).toBe(subjects.instanceDied(runner));
    found.push(runner);
  }
  return found;
}

function instances(): string[] {
  const path = join(root, INSTALLATION);
  return existsSync(path) ? readdirSync(path).filter((name) => !name.startsWith('.')) : [];
}

describe('the backend worker', () => {
  it('shares the work with another one, publishes a death once, and finishes its activities before it stops', async () => {
    const workers = await Promise.all([startBackend(), startBackend()]);
    const created: InstanceCreated[] = [];
    observer.subscribe(wildcards.created, {
      callback: (_error, message) => void created.push(instanceCreated.parse(decode(message.data))),
    });
    await observer.flush();
    const runners = Array.from({ length: 6 }, newRunner);
    const made = await Promise.all(
      runners.map((runner) => ask({ do: 'create', spec: anInstanceSpec(INSTALLATION, runner) })),
    );
    expect(instances().toSorted()).toEqual(runners.toSorted());
    await until(() => created.length === 6, { what: 'all creations are published' });
    expect(made).toContainEqual({ instanceId: created[0]?.instanceId });
    const [first = '', second = '', ...others] = runners;
    expect(await ask({ do: 'check', runner: first })).toBe('alive');
    expect(await ask({ do: 'check', runner: 'never-existed' })).toBe('absent');

    const victim = created.find(({ runner }) => runner === first);
    process.kill(-Number(victim?.instanceId), 'SIGKILL');
    for (const worker of workers) await worker.logged('instance died');
    expect(await deaths()).toEqual([first]);
    expect(await ask({ do: 'check', runner: first })).toBe('dead');

    await Promise.all([first, ...others].map((runner) => ask({ do: 'delete', runner })));
    expect(instances()).toEqual([second]);
    const sum = async (name: string): Promise<number> => {
      const counts = await Promise.all(workers.map((worker) => worker.metric(name, { backend: 'here' })));
      return counts.reduce((total, count) => total + count, 0);
    };
    expect(await sum('baton_instances_created_total')).toBe(6);
    expect(await sum('baton_instances_deleted_total')).toBe(5);
    expect(await sum('baton_instances_died_total')).toBe(2);

    const deleting = ask({ do: 'delete', runner: second });
    expect(await Promise.all(workers.map((worker) => worker.stop()))).toEqual([0, 0]);
    const after = await startBackend();
    await deleting;
    expect(instances()).toEqual([]);
    expect(await after.stop()).toBe(0);
  });

  it('takes over from a killed one: its instances run on, and deaths in between are published', async () => {
    const before = await startBackend();
    const [lives, dies] = [newRunner(), newRunner()];
    await ask({ do: 'create', spec: anInstanceSpec(INSTALLATION, lives) });
    const made = await ask({ do: 'create', spec: anInstanceSpec(INSTALLATION, dies) });
    await before.kill();
    expect(made).toMatchObject({ instanceId: expect.stringMatching(/^\d+$/) });
    const { instanceId } = instanceCreated.pick({ instanceId: true }).parse(made);
    process.kill(-Number(instanceId), 'SIGKILL');
    const after = await startBackend();
    await after.logged('instance died');
    expect((await deaths()).filter((runner) => runner === dies)).toHaveLength(1);
    expect(await ask({ do: 'check', runner: lives })).toBe('alive');
    for (const runner of [lives, dies]) await ask({ do: 'delete', runner });
    expect(instances()).toEqual([]);
    expect(await after.stop()).toBe(0);
  });

  it('works without a NATS connection, and publishes a death once it is connected again', async () => {
    const worker = await startBackend();
    const runner = newRunner();
    await nats.halt();
    const made = await ask({ do: 'create', spec: anInstanceSpec(INSTALLATION, runner) });
    const { instanceId } = instanceCreated.pick({ instanceId: true }).parse(made);
    process.kill(-Number(instanceId), 'SIGKILL');
    await worker.logged('instance death not published; will retry');
    await worker.ready(false);
    await nats.resume();
    await worker.logged('instance died');
    await worker.ready();
    await until(async () => (await deaths().catch((): string[] => [])).includes(runner), {
      what: 'it is in the stream',
    });
    await ask({ do: 'delete', runner });
    expect(await worker.stop()).toBe(0);
  });

  it('fails an activity with the error’s code, without a retry and without a secret in the history', async () => {
    const worker = await startBackend();
    const runner = newRunner();
    await ask({ do: 'create', spec: anInstanceSpec(INSTALLATION, runner) });
    const conflict = await ask({ do: 'create', spec: { ...anInstanceSpec(INSTALLATION, runner), pids: 1 } }).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(conflict).toBeInstanceOf(WorkflowFailedError);
    expect(conflict).toMatchObject({ cause: { cause: { type: 'INSTANCE_CONFLICT', nonRetryable: true } } });
    await ask({ do: 'delete', runner });
    let histories = 0;
    for await (const { workflowId } of client.workflow.list()) {
      const history = JSON.stringify(await client.workflow.getHandle(workflowId).fetchHistory());
      expect(history).not.toMatch(/NATS USER|NKEY|eyJ0eXAi/);
      histories++;
    }
    expect(histories).toBeGreaterThan(5);
    expect(JSON.stringify(worker.log)).not.toMatch(/NATS USER|NKEY|eyJ0eXAi/);
    expect(await worker.stop()).toBe(0);
  });

  it('names the configured backends when it is started with another name', async () => {
    const wrong = startService('backend', { config, args: ['elsewhere'] });
    await expect(wrong).rejects.toThrow(
      /starting backend \\"elsewhere\\": the configuration has no such backend; it has here/,
    );
  });
});
