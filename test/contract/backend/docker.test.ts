import { randomUUID } from 'node:crypto';
import type Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toContainerOptions } from '../../../activities/backends/docker/container-options.ts';
import { ensureNetwork } from '../../../activities/backends/docker/network.ts';
import { hashSpec } from '../../../activities/backends/spec-hash.ts';
import type { Instance, InstanceSpec } from '../../../contracts/ports/backend.ts';
import { buildInstanceImage } from '../../../deploy/images/instance-image.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { whyNoDocker } from '../../support/docker.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { TRY_300_PROCESSES } from '../../support/process-limit.ts';
import { until } from '../../support/until.ts';
import { BOOTSTRAP } from './candidate.ts';
import { aContainerSpec, docker, findLeftovers, IMAGE, openBackend, POOL, SOCKET } from './docker/engine.ts';
import { startEngineProxy } from './engine-proxy.ts';
import { backendContract } from './suite.ts';
import { never } from './world.ts';

async function createContainerOnly(spec: InstanceSpec): Promise<Docker.Container> {
  const hash = hashSpec(spec);
  const network = await ensureNetwork(docker, spec, { pool: POOL, hash }, never);
  return docker.createContainer(toContainerOptions(spec, { network, hash }));
}

describeUnless(await whyNoDocker(), 'with an engine', () => {
  beforeAll(async () => {
    await buildInstanceImage(docker, IMAGE);
  });

  backendContract('docker', async () => {
    const proxy = await startFaultProxy(SOCKET);
    const labelsStay = 'the engine cannot change the labels of a container';
    const oneMachine = 'there is only one machine; the engine refuses what it cannot give (docker.test.ts)';
    return {
      against: 'Docker engine',
      open: (installation) => openBackend(installation),
      spec: aContainerSpec,
      config: { type: 'docker', socket: SOCKET, network_pool: POOL, allow_host_access: true },
      killAfterMs: [10, 60, 150, 300, 600],
      partialCreates: [
        [
          'a network',
          async (spec) => void (await ensureNetwork(docker, spec, { pool: POOL, hash: hashSpec(spec) }, never)),
        ],
        ['a container that was not started', async (spec) => void (await createContainerOnly(spec))],
        [
          'a second network',
          async (spec) => {
            await createContainerOnly(spec);
            const labels = { 'baton.installation': spec.installation, 'baton.runner': spec.runner };
            await docker.createNetwork({ Name: `${spec.runner}-2`, Labels: labels, Internal: true });
          },
        ],
      ],
      kill: async ({ id }) => void (await docker.getContainer(id).kill()),
      killed: { exitCode: 137, reason: /137|SIGKILL/ },
      listLeftovers: findLeftovers,
      stop: () => proxy.close(),
      faults: {
        proxy,
        open: (installation) => openBackend(installation, { socket: proxy.address.replace('http:', 'tcp:') }),
        isCreate: ({ method, path }) => method === 'POST' && path.startsWith('/containers/create'),
        isLook: ({ method, path }) => method === 'GET' && /^\/(containers|networks|events)/.test(path),
        isDelete: ({ method, path }) => method === 'DELETE' && path.startsWith('/containers/'),
        failed: { status: 500, headers: { 'content-type': 'application/json' }, body: '{"message":"it failed"}' },
        throttled: { status: 429, headers: { 'content-type': 'application/json' }, body: '{"message":"too many"}' },
      },
      absent: {
        'tags an instance with its job, twice and by two processes at once, and changes no other tag': labelsStay,
        'tags no instance that never existed, and none of another installation': labelsStay,
        'reports that its credentials expired, and continues with new ones':
          'the engine’s socket requires no credentials',
        'uses the next placement when one has no capacity, and starts there next time': oneMachine,
        'reports that no placement has capacity, and creates the instance as soon as one has': oneMachine,
        'finds and deletes a new instance that is not listed yet': 'the engine lists a new container at once',
        'lists more than 1,000 instances':
          'the engine lists all in one answer, and 1,000 containers are too many for a test',
      },
    };
  });

  describe('an instance', () => {
    const installation = `d${randomUUID().slice(0, 8)}`;
    const backend = openBackend(installation);
    const runner = `${installation}-linux-aaaaaaaa`;
    let instance: Instance;

    beforeAll(async () => {
      instance = await backend.create(aContainerSpec(installation, runner), BOOTSTRAP, never);
    });

    afterAll(async () => {
      for (const { runner: name } of await backend.list(never)) await backend.delete(name, never);
    });

    const untilAgentRuns = (id: string): Promise<void> =>
      until(async () => expect(await inside('ls /baton', id)).not.toContain('bootstrap.json'));

    async function inside(script: string, id = instance.id): Promise<string> {
      const exec = await docker
        .getContainer(id)
        .exec({ Cmd: ['bash', '-c', script], AttachStdout: true, AttachStderr: true, Tty: true });
      const stream = await exec.start({ Tty: true });
      let text = '';
      for await (const chunk of stream) text += String(chunk);
      return text.replaceAll('\r\n', '\n').trim();
    }

    it('runs as its user, without any capability and without a way to gain one', async () => {
      expect(await inside('id -u; id -g')).toBe('1001\n1001');
      expect(
        await inside('grep -E "^(Cap|NoNewPrivs)" /proc/1/status /proc/self/status | grep -v "\\b0000000000000000$"'),
      ).toBe('/proc/1/status:NoNewPrivs:\t1\n/proc/self/status:NoNewPrivs:\t1');
    });

    it('cannot see the engine, the host’s files or other containers’ processes', async () => {
      expect(await inside('ls /var/run/docker.sock /run/docker.sock 2>&1 | grep -c "No such file"')).toBe('2');
      const info = await docker.getContainer(instance.id).inspect();
      expect(info.Mounts).toEqual([]);
      expect(info.HostConfig.Privileged).toBe(false);
      expect(await inside('ps -e -o comm= | sort -u | tr "\\n" " "')).toMatch(/docker-init|tini/);
    });

    it('has limits for memory without swap, processors and processes', async () => {
      const { HostConfig: host } = await docker.getContainer(instance.id).inspect();
      expect(host).toMatchObject({
        Memory: 256 * 1024 ** 2,
        MemorySwap: 256 * 1024 ** 2,
        NanoCpus: 5e8,
        PidsLimit: 200,
      });
      expect(host).toMatchObject({ CapAdd: null, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'], Init: true });
      // Starts more processes than allowed, in a separate instance: an agent that is still starting may not survive it.
      const { id } = await backend.create(
        aContainerSpec(installation, `${installation}-linux-dddddddd`),
        BOOTSTRAP,
        never,
      );
      await untilAgentRuns(id);
      const started = Number(/children (\d+)/.exec(await inside(TRY_300_PROCESSES, id))?.[1]);
      expect(started).toBeGreaterThan(100);
      expect(started).toBeLessThan(200);
    });

    it('is alone in its own network, a /28 of the pool, and cannot reach another runner', async () => {
      const other = `${installation}-linux-bbbbbbbb`;
      const made = await backend.create(aContainerSpec(installation, other), BOOTSTRAP, never);
      const address = async (id: string): Promise<string> => {
        const { NetworkSettings: settings } = await docker.getContainer(id).inspect();
        const networks = Object.values(settings.Networks);
        expect(networks).toHaveLength(1);
        expect(networks[0]?.IPPrefixLen).toBe(28);
        return networks[0]?.IPAddress ?? '';
      };
      const theirs = await address(made.id);
      expect(await address(instance.id)).toMatch(/^10\.214\./);
      expect(theirs).toMatch(/^10\.214\./);
      const listen = `require('net').createServer(() => {}).listen(8080, () => console.log('listening'))`;
      const exec = await docker
        .getContainer(made.id)
        .exec({ Cmd: ['node', '-e', listen], AttachStdout: true, Tty: true });
      const stream = await exec.start({ Tty: true });
      await new Promise((resolve) => stream.once('data', resolve));
      const reach = `const s = require('net').connect({ host: '${theirs}', port: 8080, timeout: 1500 });
        for (const e of ['connect', 'timeout', 'error']) s.on(e, () => { console.log(e); process.exit() })`;
      expect(await inside(`node -e "${reach.replaceAll('\n', ' ')}"`)).toMatch(/timeout|error/);
      expect(await inside('cat /etc/hosts')).toContain('host.docker.internal');
      await backend.delete(other, never);
    });

    it('shows no secret when inspected, and has none on its disk once the agent runs', async () => {
      const info = await docker.getContainer(instance.id).inspect();
      expect(JSON.stringify(info)).not.toContain('SECRET');
      const filters = { label: [`baton.installation=${installation}`] };
      expect(JSON.stringify(await docker.listNetworks({ filters }))).not.toContain('SECRET');
      await untilAgentRuns(instance.id);
      expect(await inside('cat /proc/*/environ | tr "\\0" "\\n" | grep -c SECRET')).toBe('0');
      const labels = info.Config.Labels;
      expect(labels).toMatchObject({
        'baton.installation': installation,
        'baton.group': 'linux',
        'baton.runner': runner,
      });
    });
  });

  describe('a create', () => {
    const installation = `w${randomUUID().slice(0, 8)}`;
    const backend = openBackend(installation);
    const runner = `${installation}-linux-aaaaaaaa`;

    afterAll(async () => {
      await backend.delete(runner, never);
    });

    it.each([
      ['root', { user: '0:0' }, 'INSTANCE_INVALID'],
      ['a user name', { user: 'root' }, 'INSTANCE_INVALID'],
      ['no image', { image: undefined }, 'INSTANCE_INVALID'],
      ['more processors than the machine has', { cpu: 4000 }, 'INSTANCE_INVALID'],
      ['a disk size on an engine without quotas', { diskBytes: 1024 ** 3 }, 'INSTANCE_INVALID'],
    ])('refuses %s', async (_what, more, code) => {
      await expect(backend.create(aContainerSpec(installation, runner, more), BOOTSTRAP, never)).rejects.toMatchObject({
        code,
      });
      await backend.delete(runner, never);
    });

    it('fails with a retryable error when its image cannot be pulled', async () => {
      const spec = aContainerSpec(installation, runner, { image: 'registry.invalid/none:1' });
      const create = (): Promise<Instance> => backend.create(spec, BOOTSTRAP, never);
      await expect(create()).rejects.toMatchObject({ code: 'IMAGE_PULLING', retryable: true });
      await until(() => expect(create()).rejects.toMatchObject({ code: 'IMAGE_MISSING', retryable: true }), {
        what: 'the pull has failed',
      });
      expect(await backend.describe(runner, never)).toBeUndefined();
    });

    it('refuses the name of another owner’s container, and leaves that container alone', async () => {
      const theirs = await docker.createContainer({ name: runner, Image: IMAGE, Cmd: ['true'] });
      try {
        const refused = backend.create(aContainerSpec(installation, runner), BOOTSTRAP, never);
        await expect(refused).rejects.toMatchObject({ code: 'INSTANCE_CONFLICT' });
        expect(await backend.describe(runner, never)).toBeUndefined();
        await backend.delete(runner, never);
        expect((await theirs.inspect()).Name).toBe(`/${runner}`);
      } finally {
        await theirs.remove();
      }
    });

    it('fails with a retryable error when the engine does not answer, as all calls do', async () => {
      const unreachable = openBackend(installation, { socket: '/nonexistent.sock' });
      for (const call of [
        () => unreachable.create(aContainerSpec(installation, runner), BOOTSTRAP, never),
        () => unreachable.describe(runner, never),
        () => unreachable.list(never),
        () => unreachable.delete(runner, never),
      ]) {
        await expect(call()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', retryable: true });
      }
    });
  });

  it('reconnects to the engine after a broken connection, and reports the deaths in between', async () => {
    const installation = `e${randomUUID().slice(0, 8)}`;
    const proxy = await startEngineProxy(SOCKET);
    const ending = new AbortController();
    const far = openBackend(installation, { socket: proxy.path });
    const near = openBackend(installation);
    const dies = aContainerSpec(installation, `${installation}-linux-aaaaaaaa`);
    const vanishes = aContainerSpec(installation, `${installation}-linux-bbbbbbbb`);
    const before = aContainerSpec(installation, `${installation}-linux-cccccccc`);
    const specs = [dies, vanishes, before];
    const deaths = new Map<string, Instance>();
    const waiting = new Map<string, () => void>();
    const watched = far.watch((dead) => {
      deaths.set(dead.runner, dead);
      waiting.get(dead.runner)?.();
    }, ending.signal);
    const waitForDeath = ({ runner }: InstanceSpec): Promise<void> =>
      new Promise((resolve) => (deaths.has(runner) ? resolve() : waiting.set(runner, resolve)));
    try {
      for (const spec of specs) await near.create(spec, BOOTSTRAP, never);
      // It is connected once it has reported a death.
      await docker.getContainer(before.runner).kill();
      await waitForDeath(before);
      proxy.cut();
      await docker.getContainer(dies.runner).kill();
      await docker.getContainer(vanishes.runner).remove({ force: true });
      proxy.restore();
      await Promise.all([waitForDeath(dies), waitForDeath(vanishes)]);
      expect(deaths.get(dies.runner)).toMatchObject({ exitCode: 137 });
      expect(deaths.get(vanishes.runner)).toMatchObject({ reason: 'its container was removed' });
    } finally {
      ending.abort();
      await watched;
      await proxy.close();
      for (const { runner } of specs) await near.delete(runner, never);
    }
    expect(await findLeftovers([installation])).toEqual([]);
  });

  it('skips network ranges that are in use, and fails with a retryable error when the pool is used up', async () => {
    const installation = `p${randomUUID().slice(0, 8)}`;
    const block = Math.floor(Math.random() * 16) * 16;
    // A /27 has room for two networks.
    const backend = openBackend(installation, { networkPool: `10.219.${block}.0/27` });
    const names = ['a', 'b', 'c'].map((letter) => `${installation}-linux-${letter.repeat(8)}`);
    try {
      const [a = '', b = '', c = ''] = names;
      await backend.create(aContainerSpec(installation, a), BOOTSTRAP, never);
      await backend.create(aContainerSpec(installation, b), BOOTSTRAP, never);
      const third = backend.create(aContainerSpec(installation, c), BOOTSTRAP, never);
      await expect(third).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', retryable: true });
    } finally {
      for (const name of names) await backend.delete(name, never);
    }
    expect(await findLeftovers([installation])).toEqual([]);
  });
});
