import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBackendActivities } from '../../../activities/backends/activities.ts';
import { LocalBackend } from '../../../activities/backends/local/local.ts';
import { createAttemptCheck } from '../../../activities/lib/current-attempt.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { createBackendWorkers } from '../../../services/backend/workers.ts';
import type { WorkerSet } from '../../../services/shared/worker-set.ts';
import { anInstanceSpec } from '../../support/an-instance-spec.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { startTemporal, type TestTemporal } from '../../support/temporal.ts';
import type { order, Order } from '../../contract/backend/order.workflow.ts';

const INSTALLATION = 'late';
const folder = temporaryFolder('late');
const never = new AbortController().signal;
const stop = new AbortController();

let temporal: TestTemporal;
let client: Client;
let connection: NativeConnection;
let orders: Worker;
let backends: WorkerSet;
let running: Promise<unknown>;

const local = new LocalBackend({
  installation: INSTALLATION,
  root: folder.path,
  command: ['/bin/sleep', '600'],
  agent: { files: [], archive: Buffer.alloc(0), hash: '' },
  log: createLogger('test', 'silent'),
});
/** The first create goes on when the test lets it: its process sleeps until then. */
const awake = Promise.withResolvers<void>();
const firstEnded = Promise.withResolvers<unknown>();
let creates = 0;
const backend: Backend = {
  type: 'local',
  create: async (...order) => {
    creates += 1;
    if (creates > 1) return await local.create(...order);
    await awake.promise;
    const created = local.create(...order);
    created.then(firstEnded.resolve, firstEnded.resolve);
    return await created;
  },
  describe: (runner) => local.describe(runner),
  list: (abort) => local.list(abort),
  delete: (runner, abort) => local.delete(runner, abort),
  watch: (onDeath, abort) => local.watch(onDeath, abort),
};

beforeAll(async () => {
  temporal = await startTemporal();
  connection = await NativeConnection.connect({ address: temporal.address });
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  orders = await Worker.create({
    connection,
    taskQueue: 'orders',
    workflowsPath: fileURLToPath(new URL('../../contract/backend/order.workflow.ts', import.meta.url)),
  });
  backends = await createBackendWorkers({
    connection,
    namespace: temporal.namespace,
    name: 'here',
    activities: createBackendActivities({
      backend,
      natsUrl: 'nats://127.0.0.1:1',
      confirm: createAttemptCheck(client.activity),
      onCreated: () => undefined,
      observe: () => undefined,
      log: createLogger('test', 'silent'),
    }),
  });
  running = Promise.all([orders.run(), backends.run(stop.signal)]);
});

afterAll(async () => {
  awake.resolve();
  orders?.shutdown();
  stop.abort();
  await running;
  await connection?.close();
  await client?.connection.close();
  await temporal?.stop();
  folder.remove();
});

it('a create that goes on after Temporal gave it to another worker makes no instance of a runner that has come and gone', async () => {
  const spec = anInstanceSpec(INSTALLATION, 'late-linux-aaaaaaaa');
  const create: Order = { do: 'create', spec };
  // Less than the time between two heartbeats: Temporal gives the first attempt up, which does not learn of it.
  await client.workflow.execute<typeof order>('order', {
    workflowId: randomUUID(),
    taskQueue: 'orders',
    args: ['here', create, '1 s'],
  });
  expect(await local.list(never)).toMatchObject([{ runner: spec.runner, state: 'running' }]);
  await local.delete(spec.runner, never);
  awake.resolve();
  // Where all this took long, it has learnt of its cancellation.
  expect(await firstEnded.promise).toBeInstanceOf(Error);
  expect(await local.list(never)).toEqual([]);
});
