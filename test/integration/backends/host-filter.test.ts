import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { DockerBackend, type FilterSettings } from '../../../activities/backends/docker/docker.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { findFreePorts } from '../../../contracts/lib/free-ports.ts';
import { buildFilterImage } from '../../../deploy/images/filter-image.ts';
import { buildInstanceImage } from '../../../deploy/images/instance-image.ts';
import { bundleAgent } from '../../../services/backend/agent-bundle.ts';
import { findBridgeGateway } from '../../../services/cli/start/engine.ts';
import { anInstanceSpec } from '../../support/an-instance-spec.ts';
import { removeContainers } from '../../support/containers.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { whyNoDocker } from '../../support/docker.ts';
import { removeTestFilters } from '../../support/remove-filters.ts';
import { startRemoteNetwork, type RemoteNetwork } from '../../support/remote-network.ts';
import { until } from '../../support/until.ts';

/** What a job in a container reaches: all rows are tried with and without the filter, by the same program. */

const run = promisify(execFile);
const docker = new Docker();
const IMAGE = 'baton-test-instance';
/** An iptables that only says that all went well. */
const FAKE_IMAGE = 'baton-test-fake-filter';
const never = new AbortController().signal;
const BOOTSTRAP = { natsUrl: 'nats://127.0.0.1:1', credentials: '' };

const METADATA = ['169.254.169.254', '169.254.170.2', '168.63.129.16', '100.100.100.200'];
/** Stands for the internet. */
const INTERNET = '203.0.113.7';

async function findReasonToSkip(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root: a network behind this machine, and a look at its packet filter';
  return whyNoDocker();
}

describeUnless(await findReasonToSkip(), 'the packet filter of the docker backend', () => {
  const installation = `f${randomUUID().slice(0, 8)}`;
  const checks: [outcome: string, dropped: number][] = [];
  const servers: Server[] = [];
  const datagrams: string[] = [];
  let udp: Socket;
  let remote: RemoteNetwork | { absent: string };
  let gateway = '';
  let published: Docker.Container;
  /** Ports of this machine at all its addresses: NATS's, another one, one published by a container, one for datagrams. */
  let ports: { nats: number; other: number; published: number; udp: number; remote: number };

  beforeAll(async () => {
    const [nats = 0, other = 0, publishedPort = 0, udpPort = 0, remotePort = 0] = await findFreePorts(5);
    ports = { nats, other, published: publishedPort, udp: udpPort, remote: remotePort };
    await buildInstanceImage(docker, IMAGE);
    gateway = (await findBridgeGateway(docker)) ?? '';
    for (const port of [nats, other]) {
      const server = createServer((socket) => socket.on('error', () => undefined).end('hello'));
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve));
    }
    udp = createSocket('udp4', (message) => datagrams.push(String(message)));
    // The TCP port of that number holds its reservation.
    udp.bind(0, '0.0.0.0');
    await once(udp, 'listening');
    ports.udp = udp.address().port;
    remote = await startRemoteNetwork([...METADATA, INTERNET], ports.remote);
    published = await docker.createContainer({
      Image: IMAGE,
      Labels: { 'baton.installation': installation },
      Cmd: ['node', '-e', `require('net').createServer((s) => s.on('error', () => {}).end('hello')).listen(80)`],
      User: '0:0',
      HostConfig: { PortBindings: { '80/tcp': [{ HostPort: String(ports.published) }] } },
      ExposedPorts: { '80/tcp': {} },
    });
    await published.start();
  });

  afterAll(async () => {
    for (const server of servers) server.close();
    udp.close();
    if ('stop' in remote) await remote.stop();
    await removeContainers(installation);
    removeTestFilters(new RegExp(`--dport ${ports.nats} `));
  });

  afterEach(async () => {
    const backend = await open(undefined);
    for (const { runner } of await backend.list(never)) if (runner !== '') await backend.delete(runner, never);
  });

  async function open(filter: Partial<FilterSettings> | undefined): Promise<DockerBackend> {
    return new DockerBackend({
      installation,
      socket: '/var/run/docker.sock',
      networkPool: '10.212.0.0/16',
      agent: await bundleAgent(),
      log: createLogger('test', 'silent'),
      filter: filter && {
        allowed: [`host.docker.internal:${ports.nats}`],
        image: buildFilterImage,
        observe: { checked: (outcome, dropped) => checks.push([outcome, dropped]) },
        ...filter,
      },
    });
  }

  async function createRunner(backend: DockerBackend, name: string): Promise<string> {
    const spec = anInstanceSpec(installation, `${installation}-${name}`, { image: IMAGE });
    return (await backend.create(spec, BOOTSTRAP, never)).id;
  }

  async function inside(id: string, script: string): Promise<string> {
    const exec = await docker
      .getContainer(id)
      .exec({ Cmd: ['node', '-e', script], AttachStdout: true, AttachStderr: true, Tty: true });
    let text = '';
    for await (const chunk of await exec.start({ Tty: true })) text += String(chunk);
    return text.trim();
  }

  /** Of these `host:port`, those that a job in the container connects to. */
  async function findReached(id: string, targets: readonly string[]): Promise<string[]> {
    const text = await inside(
      id,
      `const { connect } = require('net');
      const reach = (target) => new Promise((resolve) => {
        const [host, port] = target.split(':');
        const socket = connect({ host, port: Number(port), timeout: 5000 });
        const end = (reached) => { socket.destroy(); resolve(reached ? [target] : []); };
        for (const event of ['timeout', 'error']) socket.on(event, () => end(false));
        socket.on('data', (data) => end(String(data) === 'hello'));
      });
      Promise.all(${JSON.stringify(targets)}.map(reach)).then((found) => console.log(JSON.stringify(found.flat())));`,
    );
    const found: unknown = JSON.parse(text);
    return Array.isArray(found) ? found.map(String) : [];
  }

  async function readOwnGateway(id: string): Promise<string> {
    const { NetworkSettings: settings } = await docker.getContainer(id).inspect();
    return Object.values(settings.Networks)[0]?.Gateway ?? '';
  }

  /** What nobody but this machine's own processes should reach, as that container would address it. */
  async function listForbidden(id: string): Promise<string[]> {
    const own = await readOwnGateway(id);
    return [
      ...[gateway, own, 'host.docker.internal'].flatMap((host) => [
        `${host}:${ports.other}`,
        `${host}:${ports.published}`,
      ]),
      `${own}:${ports.nats}`,
    ];
  }

  async function sendDatagram(id: string, text: string): Promise<void> {
    const script = `const socket = require('dgram').createSocket('udp4');
      socket.send('${text}', ${ports.udp}, '${gateway}', () => socket.close());`;
    await inside(id, script);
  }

  it('keeps a job from the ports of its machine, but not from NATS; without it, a job reaches them all', async () => {
    const bare = await createRunner(await open(undefined), 'bare');
    const withoutFilter = await listForbidden(bare);
    await until(async () => expect(await findReached(bare, withoutFilter)).toEqual(withoutFilter));
    await sendDatagram(bare, 'from bare');
    await until(() => expect(datagrams).toContain('from bare'));

    const filtered = await createRunner(await open({}), 'filtered');
    const nats = `host.docker.internal:${ports.nats}`;
    expect(await findReached(filtered, [nats, ...(await listForbidden(filtered))])).toEqual([nats]);
    await sendDatagram(filtered, 'from filtered');
    // Sent later, received: the other one would be here too.
    await sendDatagram(bare, 'last');
    await until(() => expect(datagrams).toContain('last'));
    expect(datagrams).toEqual(['from bare', 'last']);
    // The next check counts what was dropped.
    checks.length = 0;
    await createRunner(await open({}), 'next');
    expect(checks).toEqual([['ok', expect.any(Number)]]);
    expect(checks[0]?.[1]).toBeGreaterThanOrEqual(8);
  });

  it('keeps a job from metadata services, but not from the internet; without it, a job reaches them all', async (context) => {
    if ('absent' in remote) return context.skip(true, remote.absent);
    const targets = [INTERNET, ...METADATA].map((address) => `${address}:${ports.remote}`);
    const bare = await createRunner(await open(undefined), 'bare');
    await until(async () => expect(await findReached(bare, targets)).toEqual(targets));
    const filtered = await createRunner(await open({}), 'filtered');
    expect(await findReached(filtered, targets)).toEqual(targets.slice(0, 1));
  });

  it('lets a job look up names, and gives it no address of IPv6', async () => {
    const filtered = await createRunner(await open({}), 'filtered');
    const script = `const found = Object.values(require('os').networkInterfaces()).flat().filter((own) => !own.internal);
      require('dns').resolve4('${installation}-filtered', (error, addresses) =>
        console.log(JSON.stringify({ families: found.map(({ family }) => family), addresses, error: error?.code })))`;
    const { NetworkSettings: settings } = await docker.getContainer(filtered).inspect();
    const address = Object.values(settings.Networks)[0]?.IPAddress;
    expect(JSON.parse(await inside(filtered, script))).toEqual({ families: ['IPv4'], addresses: [address] });
  });

  it('restores rules that something else took away, before the next instance', async () => {
    const backend = await open({});
    const filtered = await createRunner(backend, 'filtered');
    const target = `${gateway}:${ports.other}`;
    expect(await findReached(filtered, [target])).toEqual([]);
    const { stdout } = await run('iptables', ['-w', '-t', 'raw', '-S', 'PREROUTING']);
    const name = await readBridge(filtered);
    const rule = stdout.split('\n').find((line) => line.includes(name.slice(0, 7))) ?? '';
    await run('iptables', ['-w', '-t', 'raw', ...rule.replace('-A', '-D').split(' ')]);
    expect(await findReached(filtered, [target])).toEqual([target]);
    // As after a restart of the worker: its first check.
    await createRunner(await open({}), 'next');
    expect(await findReached(filtered, [target])).toEqual([]);
  });

  async function readBridge(id: string): Promise<string> {
    const { NetworkSettings: settings } = await docker.getContainer(id).inspect();
    const network = docker.getNetwork(Object.values(settings.Networks)[0]?.NetworkID ?? '');
    const info: { Options?: Record<string, string> } = await network.inspect();
    return info.Options?.['com.docker.network.bridge.name'] ?? '';
  }

  it('is made and verified by two workers at once', async () => {
    const backends = await Promise.all([open({}), open({})]);
    checks.length = 0;
    const ids = await Promise.all(backends.map((backend, index) => createRunner(backend, `both-${index}`)));
    expect(checks.map(([outcome]) => outcome)).toEqual(['ok', 'ok']);
    for (const id of ids) {
      const nats = `host.docker.internal:${ports.nats}`;
      expect(await findReached(id, [nats, `${gateway}:${ports.other}`])).toEqual([nats]);
    }
    const [first = '', second = ''] = ids;
    const { NetworkSettings: settings } = await docker.getContainer(second).inspect();
    const address = Object.values(settings.Networks)[0]?.IPAddress ?? '';
    // Its output breaks off when the container is removed.
    inside(second, `require('net').createServer((s) => s.end('hello')).listen(8080)`).catch(() => undefined);
    // It listens, for itself.
    await until(async () => expect(await findReached(second, [`${address}:8080`])).toHaveLength(1));
    expect(await findReached(first, [`${address}:8080`])).toEqual([]);
  });

  it.each([
    ['the image has no iptables', () => Promise.resolve(IMAGE), /iptables-legacy.* ENOENT/],
    [
      'its iptables changes nothing',
      async () => {
        const names = ['iptables', 'ip6tables'].flatMap((name) => [name, `${name}-restore`, `${name}-save`]);
        const files = names.map((name) => ({ path: `/usr/bin/${name}`, content: '#!/bin/sh\nexit 0\n', mode: 0o755 }));
        await buildInstanceImage(docker, FAKE_IMAGE, { files });
        return FAKE_IMAGE;
      },
      /a container like a runner’s still reaches \d/,
    ],
  ])('stops a worker, and lets it create no instance, where %s', async (_what, image, message) => {
    // Other rules than those of the tests above.
    const backend = await open({ image, allowed: [] });
    const refusal = { code: 'HOST_FILTER_FAILED', message: expect.stringMatching(message), retryable: true };
    checks.length = 0;
    await expect(createRunner(backend, 'refused')).rejects.toMatchObject(refusal);
    expect(checks).toEqual([['failed', 0]]);
    expect(await backend.list(never)).toEqual([expect.objectContaining({ runner: '' })]);
    const ending = new AbortController();
    await expect(backend.watch(() => undefined, ending.signal)).rejects.toMatchObject(refusal);
    ending.abort();
  });
});
