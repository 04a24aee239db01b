import { existsSync } from 'node:fs';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { untilExists } from '../../support/held-script.ts';
import { removeContainers } from '../../support/containers.ts';
import { describeUnless } from '../../support/describe-unless.ts';
import { whyNoDocker } from '../../support/docker.ts';
import { expectNothingLeft } from '../../support/leftovers.ts';
import { until } from '../../support/until.ts';
import { DelegationView } from './delegation-view.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from './world.ts';

/** Delegated jobs in containers of a real engine: what they can reach, and what is shown when a container is lost. */

const IMAGE = `baton-test-missing-${Math.random().toString(36).slice(2, 10)}`;
const SOCKETS = ['/var/run/docker.sock', '/run/docker.sock'];

/** Prints whether an address (host and port, or the path of a socket) can be reached. */
const KNOCK = `knock() { node -e '
const [, to, port] = process.argv;
const socket = require("net").connect(port ? { host: to, port: Number(port), timeout: 3000 } : { path: to });
for (const event of ["connect", "timeout", "error"])
  socket.on(event, () => { console.log(["knock", to, port, event].filter(Boolean).join(" ")); process.exit(0); });
' "$@"; }`;
/** Listens on a port and on a socket, as a service of the job would. */
const LISTEN = `node -e '
const greet = (socket) => socket.on("error", () => {}).end("hello");
const listen = (at) => new Promise((done) => require("net").createServer(greet).listen(at, done));
Promise.all([listen(8080), listen("/tmp/own.sock")]).then(() => require("fs").writeFileSync("/tmp/listening", ""));
' &
while [ ! -e /tmp/listening ]; do sleep 0.1; done
own=$(node -p 'Object.values(require("os").networkInterfaces()).flat().find((a) => !a.internal && a.family === "IPv4").address')
knock "$own" 8080`;
const HELD = `echo held; ${untilExists('/tmp/open')}`;

describeUnless(await whyNoDocker(), 'on a Docker engine', () => {
  const docker = new Docker();
  let world: DelegationWorld;
  let view: DelegationView;

  beforeAll(async () => {
    world = await startDelegationWorld({
      docker: true,
      max: 4,
      simulator: { timing: { sweepMs: 50, lostMs: 20_000 } },
      besides: {
        groups: `
- name: imageless
  organization: acme
  labels: [imageless, ephemeral, container]
  backend: docker
  instance: { image: ${IMAGE}, memory: 256MiB, pids: 200 }`,
        proxies: '  - { names: [proxy-i], labels: [imageless], group: imageless }',
      },
    });
    view = new DelegationView(world);
  }, 300_000);
  afterAll(async () => {
    await world?.cluster.stop();
    const made = await docker.listImages({ filters: { reference: [IMAGE] } });
    if (made.length > 0) await docker.getImage(IMAGE).remove();
  }, 120_000);
  // A test that failed leaves containers behind.
  afterEach(() => removeContainers(world.cluster.installation), 120_000);

  /** Hands over a job that runs this script. Resolves with its delegation and its run. */
  async function delegate(run: string, label = LABEL, proxy = 'proxy-a'): Promise<{ id: string; runId: number }> {
    const [job = 0] = await world.sim.jobs({ labels: [label], run });
    const taken = await world.take(job, proxy);
    return { id: await world.handOver(taken, proxy), runId: taken.runId };
  }

  /** The lines that the steps of a run's second attempt have printed so far. */
  async function readOutput(runId: number): Promise<string[]> {
    const again = (await world.findAttempts(runId))[1];
    const steps = world.cluster.sim.sim.state.jobs.get(again?.id ?? 0)?.steps ?? [];
    const log = steps.find(({ name }) => name.startsWith('Run '))?.log ?? [];
    return log.slice(log.indexOf('##[endgroup]') + 1);
  }

  /** Waits until a job prints `held`. @returns its container */
  async function waitForContainer({ id, runId }: { id: string; runId: number }): Promise<string> {
    await until(async () => expect(await readOutput(runId)).toContain('held'));
    return await until(async () => {
      const { containerId } = await world.get(id, 'proxy-a');
      if (containerId === null) throw new Error('no container yet');
      return containerId;
    });
  }

  async function open(container: string): Promise<void> {
    const exec = await docker.getContainer(container).exec({ Cmd: ['touch', '/tmp/open'], AttachStdout: true });
    for await (const _ of await exec.start({})) continue;
  }

  /** Kills every container of this test as soon as it has started. */
  async function killAllThatStart(): Promise<{ stop: () => void }> {
    const filters = { event: ['start'], label: [`baton.installation=${world.cluster.installation}`] };
    const abort = new AbortController();
    const events: AsyncIterable<unknown> = await docker.getEvents({ filters, abortSignal: abort.signal });
    const killing = async (): Promise<void> => {
      for await (const chunk of events) {
        for (const [, container = ''] of String(chunk).matchAll(/"id":"([0-9a-f]{64})"/g)) {
          await docker
            .getContainer(container)
            .kill()
            .catch(() => undefined);
        }
      }
    };
    // The abort ends it like a broken connection.
    void killing().catch(() => undefined);
    return { stop: () => abort.abort() };
  }

  it(
    'a job reaches its own container and what it may reach, but no other job’s container and no engine',
    { timeout: 300_000 },
    async () => {
      const other = await delegate([KNOCK, LISTEN, HELD, 'knock "$own" 8080'].join('\n'));
      const container = await waitForContainer(other);
      const { Name: name, NetworkSettings: settings } = await docker.getContainer(container).inspect();
      const [{ IPAddress: address, Gateway: gateway } = { IPAddress: '', Gateway: '' }] = Object.values(
        settings.Networks,
      );
      expect(await readOutput(other.runId), 'it can be reached at that address').toContain(
        `knock ${address} 8080 connect`,
      );
      const nats = new URL(world.cluster.nats.url).port;
      const job = await delegate(
        [
          'set +e',
          KNOCK,
          LISTEN,
          `knock ${address} 8080`,
          `knock ${name.slice(1)} 8080`,
          `knock host.docker.internal ${nats}`,
          ...[2375, 2376].flatMap((port) => [`knock host.docker.internal ${port}`, `knock ${gateway} ${port}`]),
          'knock /tmp/own.sock',
          ...SOCKETS.map((socket) => `knock ${socket}`),
          'find / -name "docker*.sock" -o -name "containerd*.sock" 2>/dev/null',
          'echo "knocked from $own"',
        ].join('\n'),
      );
      expect(await view.result(job.id)).toMatchObject({ conclusion: 'success' });
      const printed = await readOutput(job.runId);
      const own = printed.find((line) => line.startsWith('knocked from '))?.slice('knocked from '.length) ?? '';
      expect(own).toMatch(/^10\./);
      expect(own).not.toBe(address);
      const reached = printed.filter((line) => line.startsWith('knock ') && line.endsWith(' connect'));
      // These show that knocking works: its own container, its own socket, and the port of this machine that it may
      // reach.
      expect(reached.sort()).toEqual(
        [
          `knock ${own} 8080 connect`,
          'knock /tmp/own.sock connect',
          `knock host.docker.internal ${nats} connect`,
        ].sort(),
      );
      const refused = printed.filter((line) => line.startsWith('knock ') && /(error|timeout)$/.test(line));
      expect(refused, 'every other knock was tried').toHaveLength(2 + 4 + SOCKETS.length);
      expect(
        SOCKETS.some((socket) => existsSync(socket)),
        'the engine’s socket is there, outside',
      ).toBe(true);
      expect(printed.filter((line) => line.startsWith('/'))).toEqual([]);

      await open(container);
      expect(await view.result(other.id)).toMatchObject({ conclusion: 'success' });
      const answers = (await readOutput(other.runId)).filter((line) => line === `knock ${address} 8080 connect`);
      expect(answers, 'it could be reached until the end').toHaveLength(2);
      await expectNothingLeft(world.cluster);
    },
  );

  it(
    'an image that is missing: the delegation waits and names it, and the job runs as soon as the image exists',
    { timeout: 300_000 },
    async () => {
      const { id, runId } = await delegate('echo really ran', 'imageless', 'proxy-i');
      const headline = await until(async () => {
        const said = await view.headline(id);
        expect(said).toContain(`pulling image ${IMAGE}, which the engine does not have`);
        return said;
      });
      expect(headline).toMatch(/queued: waiting for an ephemeral runner: runner\/imageless\/\S+, attempt \d+: /);
      await docker.getImage('baton-test-runner').tag({ repo: IMAGE });
      expect(await view.result(id)).toMatchObject({ status: 'completed', conclusion: 'success' });
      expect(await world.findAttempts(runId)).toHaveLength(2);
    },
  );

  it(
    'containers that die at once: the delegation shows why, stays queued, and a later container runs the job',
    { timeout: 300_000 },
    async () => {
      const killing = await killAllThatStart();
      let delegation: { id: string; runId: number };
      try {
        delegation = await delegate('echo really ran');
        const { id } = delegation;
        await until(async () => {
          expect(await view.headline(id)).toMatch(
            /queued: waiting for an ephemeral runner: runner\/ephemeral\/\S+ failed: its instance died .*exited with code 137/,
          );
        });
      } finally {
        killing.stop();
      }
      expect(await view.result(delegation.id)).toMatchObject({ conclusion: 'success' });
      expect(await world.findAttempts(delegation.runId)).toHaveLength(2);
    },
  );

  it(
    'a container that dies during the job: the delegation fails with the reason, and the job is not run again',
    { timeout: 300_000 },
    async () => {
      const job = await delegate(HELD);
      const container = await waitForContainer(job);
      await docker.getContainer(container).kill();
      expect(await view.result(job.id)).toMatchObject({ status: 'failed', conclusion: 'failure' });
      const said =
        /failed: ran on \S+: failure; the runner: its instance died \(.*exited with code 137.*\); its job is lost/;
      expect(await view.headline(job.id)).toMatch(said);
      expect(await world.findAttempts(job.runId)).toHaveLength(2);
      await expectNothingLeft(world.cluster);
    },
  );
});
