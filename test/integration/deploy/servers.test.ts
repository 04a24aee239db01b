import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { delimiter, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SEARCH_ATTRIBUTES } from '../../../contracts/workflows/search-attributes.ts';
import { connectBus } from '../../../contracts/lib/nats.ts';
import { acquireServer } from '../../../deploy/servers/acquire.ts';
import { getServerPlan, type ServerPlan } from '../../../deploy/servers/catalog.ts';
import { downloadServer } from '../../../deploy/servers/download.ts';
import { setUpBus } from '../../../deploy/nats/set-up-bus.ts';
import { startNatsServer } from '../../../deploy/servers/nats.ts';
import { startTemporalServer } from '../../../deploy/servers/temporal.ts';
import { temporaryFolder } from '../../support/cleanup.ts';

const folder = temporaryFolder('some servers');
afterAll(() => folder.remove());
const dir = folder.path;

describe('acquireServer', () => {
  it('uses the first program on PATH that is new enough', async () => {
    const old = dirname(folder.write('old/nats-server', "#!/bin/sh\necho 'nats-server: v2.9.4'\n", 0o755));
    const fresh = dirname(folder.write('fresh/nats-server', "#!/bin/sh\necho 'nats-server: v2.11.0'\n", 0o755));
    const env = { PATH: [old, fresh].join(delimiter), HOME: dir };
    expect(await acquireServer('nats-server', env)).toEqual({
      kind: 'program',
      path: join(fresh, 'nats-server'),
      from: 'PATH',
    });
  });
});

describe('downloadServer', () => {
  let server: Server;
  let base: string;
  let archive: Buffer;

  beforeAll(async () => {
    const tar = pack();
    tar.entry({ name: 'nats-server-v9/README.md' }, 'read me');
    tar.entry({ name: 'nats-server-v9/nats-server', mode: 0o755 }, '#!/bin/sh\necho nats-server: v9.9.9\n');
    tar.finalize();
    const chunks: Uint8Array[] = [];
    for await (const chunk of tar) chunks.push(z.instanceof(Uint8Array).parse(chunk));
    archive = gzipSync(Buffer.concat(chunks));
    const sum = createHash('sha256').update(archive).digest('hex');
    const files = new Map<string, string | Buffer>([
      ['/a.tar.gz', archive],
      ['/SUMS', `${'0'.repeat(64)}  other.tar.gz\n${sum}  a.tar.gz\n`],
      ['/EMPTY', 'nothing\n'],
    ]);
    server = createServer((request, response) => {
      const file = files.get(request.url ?? '');
      if (file === undefined) response.writeHead(404).end();
      else response.end(file);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    base = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  });
  afterAll(() => server.close());

  const plan = (change: Partial<ServerPlan>): ServerPlan => ({
    ...getServerPlan('nats-server'),
    archiveUrl: `${base}/a.tar.gz`,
    sumsUrl: `${base}/SUMS`,
    sha256: undefined,
    ...change,
  });

  it('unpacks the program when its archive has the published SHA-256', async () => {
    const target = join(dir, 'downloaded');
    const seen: number[] = [];
    await downloadServer(plan({}), target, (bytes) => seen.push(bytes));
    expect(spawnSync(target, { encoding: 'utf8' }).stdout).toBe('nats-server: v9.9.9\n');
    expect(seen.at(-1)).toBe(archive.length);
  });

  it('refuses an archive whose pinned SHA-256 differs', async () => {
    const wrong = plan({ sha256: 'f'.repeat(64) });
    await expect(downloadServer(wrong, join(dir, 'never'), () => undefined)).rejects.toThrow(/expected f{64}/);
  });

  it.each([
    ['the list of checksums does not name it', { sumsUrl: '/EMPTY' }, /does not name a\.tar\.gz/],
    ['it does not exist', { archiveUrl: '/none.tar.gz', sha256: '0' }, /HTTP 404/],
  ])('refuses an archive when %s', async (_what, change, message) => {
    const urls = Object.fromEntries(
      Object.entries(change).map(([key, value]) => [key, value.startsWith('/') ? base + value : value]),
    );
    await expect(downloadServer(plan(urls), join(dir, 'never'), () => undefined)).rejects.toThrow(message);
  });

  it('names the address that does not answer', async () => {
    const closed = plan({ sumsUrl: 'http://127.0.0.1:9/SUMS' });
    await expect(downloadServer(closed, join(dir, 'never'), () => undefined)).rejects.toThrow(/127\.0\.0\.1:9/);
  });
});

describe('startTemporalServer', () => {
  it('serves a Web UI, has Baton’s search attributes, keeps workflows over a restart, and stops', async () => {
    const options = { dir: join(dir, 'temporal state'), persist: true };
    const first = await startTemporalServer(options);
    expect((await fetch(first.uiUrl ?? '')).status).toBe(200);
    await withClient(first.address, async (client) => {
      await client.workflow.start('anything', { taskQueue: 'unserved', workflowId: 'kept' });
    });
    await first.stop();
    await expect(fetch(first.uiUrl ?? '')).rejects.toThrow('fetch failed');

    const second = await startTemporalServer({ ...options, ui: false });
    expect(second.uiUrl).toBeUndefined();
    await withClient(second.address, async (client, connection) => {
      expect((await client.workflow.getHandle('kept').describe()).status.name).toBe('RUNNING');
      const found = await connection.operatorService.listSearchAttributes({ namespace: second.namespace });
      expect(Object.keys(found.customAttributes ?? {})).toEqual(
        expect.arrayContaining(Object.values(SEARCH_ATTRIBUTES).map(({ name }) => name)),
      );
    });
    await second.stop();
  });
});

async function withClient(address: string, use: (client: Client, connection: Connection) => Promise<void>) {
  const connection = await Connection.connect({ address });
  try {
    await use(new Client({ connection }), connection);
  } finally {
    await connection.close();
  }
}

describe('startNatsServer', () => {
  it('has JetStream, keeps messages over a restart on the same port, and stops', async () => {
    const options = { dir: join(dir, 'nats state') };
    const first = await startNatsServer(options);
    let bus = await connectBus({ url: first.url, name: 'test', waitForServer: false });
    await setUpBus(bus);
    await bus.jetstream().publish('baton.v1.dead.test', 'kept');
    await bus.close();
    await first.stop();

    const second = await startNatsServer({ ...options, port: Number(new URL(first.url).port) });
    expect(second.url).toBe(first.url);
    bus = await connectBus({ url: second.url, name: 'test', waitForServer: false });
    const jetstreamManager = await bus.jetstreamManager();
    expect((await jetstreamManager.streams.info('BATON_DEAD')).state.messages).toBe(1);
    await bus.close();
    await second.stop();
  });

  it('reports the end of its log when its port is taken', async () => {
    const first = await startNatsServer({ dir: join(dir, 'one') });
    const taken = startNatsServer({ dir: join(dir, 'two'), port: Number(new URL(first.url).port) });
    await expect(taken).rejects.toMatchObject({
      code: 'SERVER_UNAVAILABLE',
      message: expect.stringContaining('address already in use'),
    });
    await first.stop();
  });

  it('does not outlive a parent process that is killed', async () => {
    const module = new URL('../../../deploy/servers/nats.ts', import.meta.url).href;
    const script = `const { startNatsServer } = await import(${JSON.stringify(module)});
      const server = await startNatsServer({ dir: ${JSON.stringify(join(dir, 'orphan'))} });
      console.log(server.monitorUrl); setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const url = await new Promise<string>((resolve) => {
      parent.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()));
    });
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    parent.kill('SIGKILL');
    await expect.poll(() => readFileSync(join(dir, 'orphan', 'nats.log'), 'utf8')).toContain('Server Exiting');
  });
});
