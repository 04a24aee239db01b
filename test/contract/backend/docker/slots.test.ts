import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WorkflowFailedError } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { stringify } from 'yaml';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { InstanceSpec } from '../../../../contracts/ports/backend.ts';
import { createRunnerName } from '../../../../contracts/workflows/runner-name.ts';
import { buildInstanceImage } from '../../../../deploy/images/instance-image.ts';
import { removeImages } from '../../../support/base-images.ts';
import { temporaryFolder } from '../../../support/cleanup.ts';
import { describeUnless } from '../../../support/describe-unless.ts';
import { removeFromEngine, whyNoDocker } from '../../../support/docker.ts';
import { startFaultProxy, type FaultProxy } from '../../../support/fault-proxy.ts';
import { startNats, type TestNats } from '../../../support/nats.ts';
import { startRegistry, type TestRegistry } from '../../../support/registry.ts';
import { startService, type TestService } from '../../../support/service.ts';
import { startTemporal, type TestTemporal } from '../../../support/temporal.ts';
import { until } from '../../../support/until.ts';
import type { order, Order } from '../order.workflow.ts';
import { aContainerSpec, docker, IMAGE, POOL, SOCKET } from './engine.ts';

/** More than the worker has slots for creations. */
const MANY = 20;
const SLOTS = 16;

describeUnless(await whyNoDocker(), 'the slots of a Docker backend', () => {
  const installation = `s${randomUUID().slice(0, 8)}`;
  const folder = temporaryFolder('slots');
  const images: string[] = [];
  let nats: TestNats;
  let temporal: TestTemporal;
  let registry: TestRegistry;
  let engine: FaultProxy;
  let client: Client;
  let orders: Worker;
  let ordersRun: Promise<void>;
  let service: TestService;

  beforeAll(async () => {
    await buildInstanceImage(docker, IMAGE);
    [nats, temporal, registry] = await Promise.all([startNats(), startTemporal(), startRegistry()]);
    engine = await startFaultProxy(SOCKET);
    const config = join(folder.path, 'baton.yaml');
    writeFileSync(
      config,
      stringify({
        name: installation,
        forge: { token: '${FORGE_TOKEN}' },
        webhook: { secrets: ['${WEBHOOK_SECRET}'] },
        temporal: { address: temporal.address },
        nats: { url: nats.address },
        backends: {
          here: {
            type: 'docker',
            socket: engine.address.replace('http:', 'tcp:'),
            network_pool: POOL,
            // What is tested is what else waits for the engine.
            allow_host_access: true,
          },
        },
        groups: ['linux', 'other'].map((name) => ({
          name,
          organization: 'octo-org',
          labels: [name],
          backend: 'here',
          instance: { image: IMAGE },
        })),
      }),
    );
    const connection = await NativeConnection.connect({ address: temporal.address });
    orders = await Worker.create({
      connection,
      taskQueue: 'orders',
      workflowsPath: fileURLToPath(new URL('../order.workflow.ts', import.meta.url)),
    });
    ordersRun = orders.run();
    client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
    service = await startService('backend', { config, args: ['here'] });
    await service.ready();
  });

  afterEach(async () => {
    engine.clear();
    await removeFromEngine(docker, { label: [`baton.installation=${installation}`] });
  });

  afterAll(async () => {
    await service.kill();
    orders.shutdown();
    await ordersRun;
    await client.connection.close();
    await removeFromEngine(docker, { label: [`baton.installation=${installation}`] });
    await removeImages(docker, images);
    await Promise.all([registry.close(), engine.close(), temporal.stop(), nats.stop()]);
    folder.remove();
  });

  function aSpec(group: string, more: Partial<InstanceSpec> = {}): InstanceSpec {
    return aContainerSpec(installation, createRunnerName(installation, group, randomUUID()), { group, ...more });
  }

  async function start(wanted: Order): Promise<string> {
    const workflowId = randomUUID();
    await client.workflow.start<typeof order>('order', { workflowId, taskQueue: 'orders', args: ['here', wanted] });
    return workflowId;
  }

  async function ask(wanted: Order): Promise<unknown> {
    return client.workflow.getHandle(await start(wanted)).result();
  }

  /** What the activity of an order that has not ended failed with last; undefined if no worker has taken it. */
  async function attempted(workflowId: string): Promise<string | undefined> {
    const { raw } = await client.workflow.getHandle(workflowId).describe();
    const [pending] = raw.pendingActivities ?? [];
    const isTaken = (pending?.attempt ?? 0) > 1 || (pending?.lastStartedTime ?? null) !== null;
    return isTaken ? (pending?.lastFailure?.message ?? '') : undefined;
  }

  async function untilSlotsWereTaken(workflowIds: readonly string[]): Promise<void> {
    const what = `at least ${SLOTS} creations were begun`;
    const count = async (): Promise<number> =>
      (await Promise.all(workflowIds.map(attempted))).filter((attempt) => attempt !== undefined).length;
    await until(async () => (await count()) >= SLOTS, { what });
  }

  /** Cancels an order; resolves when it has ended. */
  async function cancel(workflowId: string): Promise<void> {
    const handle = client.workflow.getHandle(workflowId);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
  }

  it('are free while an image is pulled: other groups get their instances, and the pull is one and survives cancellations', async () => {
    const old = aSpec('other');
    await ask({ do: 'create', spec: old });
    const name = `slow-${installation}`;
    const image = `${registry.address}/${name}:latest`;
    images.push(image);
    const release = registry.hold(name);
    const specs = Array.from({ length: MANY }, () => aSpec('linux', { image }));
    const waiting = await Promise.all(specs.map((spec) => start({ do: 'create', spec })));
    await untilSlotsWereTaken(waiting);
    await until(() => registry.requested.length > 0, { what: 'its layer is requested' });

    const other = aSpec('other');
    expect(await ask({ do: 'create', spec: other })).toMatchObject({ instanceId: expect.any(String) });
    await ask({ do: 'delete', runner: old.runner });
    expect(await ask({ do: 'check', runner: old.runner })).toBe('absent');
    expect(await ask({ do: 'check', runner: other.runner })).toBe('alive');
    await until(async () =>
      expect(await attempted(waiting[0] ?? '')).toContain(`pulling image ${image}: 0 of 1 layers`),
    );
    expect(await service.metric('baton_image_pulls', { backend: 'here', state: 'running' })).toBe(1);

    const [first = '', second = '', ...others] = waiting;
    await Promise.all(others.map(cancel));
    release();
    for (const id of [first, second])
      expect(await client.workflow.getHandle(id).result()).toMatchObject({ instanceId: expect.any(String) });
    expect(registry.requested).toEqual([name]);
    expect(await service.metric('baton_image_pull_seconds_count', { backend: 'here', outcome: 'ok' })).toBe(1);
  });

  it('for deletions and checks are other ones than those for creations: none waits for an engine that creates nothing', async () => {
    const old = aSpec('other');
    await ask({ do: 'create', spec: old });
    engine.inject({
      when: ({ method, path }) => method === 'POST' && path.startsWith('/containers/create'),
      fault: { kind: 'hang' },
    });
    const waiting = await Promise.all(
      Array.from({ length: MANY }, () => start({ do: 'create', spec: aSpec('linux') })),
    );
    await untilSlotsWereTaken(waiting);

    await ask({ do: 'delete', runner: old.runner });
    expect(await ask({ do: 'check', runner: old.runner })).toBe('absent');

    await Promise.all(waiting.map(cancel));
  });
});
