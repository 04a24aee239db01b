import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { untilExists } from '../support/held-script.ts';
import { Cluster } from '../support/cluster.ts';
import { removeContainers } from '../support/containers.ts';
import { SimControl } from '../support/simulator-control.ts';
import { describeUnless } from '../support/describe-unless.ts';
import { whyNoDocker } from '../support/docker.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { TRY_300_PROCESSES } from '../support/process-limit.ts';
import { until } from '../support/until.ts';

/** The whole path with containers as instances: their isolation, their limits, and what happens when one is lost. */

const MEMORY = 256 * 1024 ** 2;
const PIDS = 200;
/** A job that runs until {@link open}. */
const HELD = untilExists('/tmp/open');

describeUnless(await whyNoDocker(), 'the docker backend, end to end', () => {
  const docker = new Docker();
  let cluster: Cluster;
  let sim: SimControl;

  beforeAll(async () => {
    cluster = await Cluster.start({
      backends: ['docker'],
      containers: true,
      // Longer than two backend workers take to start: the engine reports a lost container before the forge does.
      simulator: { timing: { lostMs: 30_000, sweepMs: 50 } },
      config: `
backends:
  docker: { type: docker, network_pool: 10.216.0.0/16, nats_url: NATS_URL }
groups:
- name: linux
  organization: acme
  labels: [linux]
  backend: docker
  max: 3
  instance: { image: IMAGE, cpu: 0.5, memory: ${MEMORY}B, pids: ${PIDS} }
`,
    });
    sim = new SimControl(cluster.sim.address);
  });
  afterAll(async () => {
    await cluster?.stop();
  });

  // A failed test leaves its jobs running.
  afterEach(() => removeContainers(cluster.installation));

  /** Jobs that run until {@link open}, and their runners. */
  async function heldJobs(count: number, before = ''): Promise<{ jobs: number[]; runners: string[] }> {
    const jobs = await sim.jobs({ count, labels: ['linux'], run: `${before}\necho held\n${HELD}` });
    const runners = await until(async () => {
      for (const job of jobs) expect(readOutput(job)).toContain('held');
      return (await Promise.all(jobs.map((job) => sim.job(job)))).map(({ runner }) => runner ?? '');
    });
    return { jobs, runners };
  }

  /** The output of the job's step, line by line, without its script. */
  function readOutput(job: number): string[] {
    const steps = cluster.sim.sim.state.jobs.get(job)?.steps ?? [];
    const log = steps.find(({ name }) => name.startsWith('Run '))?.log ?? [];
    return log.slice(log.indexOf('##[endgroup]') + 1);
  }

  async function heldJob(before = ''): Promise<{ job: number; runner: string }> {
    const { jobs, runners } = await heldJobs(1, before);
    return { job: jobs[0] ?? 0, runner: runners[0] ?? '' };
  }

  async function inside(runner: string, script: string): Promise<string> {
    const exec = await docker
      .getContainer(runner)
      .exec({ Cmd: ['sh', '-c', script], AttachStdout: true, AttachStderr: true, Tty: true });
    const stream = await exec.start({ Tty: true });
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return text.trim();
  }

  const open = (runner: string): Promise<string> => inside(runner, 'touch /tmp/open');

  /** Waits for a runner that must fail. The failure's type is the runner's reason. */
  async function getFailure(runner: string): Promise<ApplicationFailure> {
    try {
      await cluster.client.workflow.getHandle(`runner/linux/${runner}`).result();
    } catch (error) {
      if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) return error.cause;
      throw error;
    }
    throw new Error(`${runner} did not fail`);
  }

  /**
   * Asserts how a lost runner ends: Baton knows at once and removes the rest of its instance; the registration goes
   * when the forge notices the loss; the job fails, and the group runs the next job.
   */
  async function expectLost(job: number, runner: string, reason: RegExp): Promise<void> {
    const filters = { label: [`baton.runner=${runner}`] };
    await until(async () => {
      expect(await docker.listContainers({ all: true, filters })).toEqual([]);
      expect(await docker.listNetworks({ filters })).toEqual([]);
      const handle = cluster.client.workflow.getHandle(`runner/linux/${runner}`);
      const details: unknown = await handle.query('__temporal_workflow_metadata');
      expect(JSON.stringify(details)).toMatch(/\blingering\b/);
      expect(JSON.stringify(details)).toMatch(reason);
    });
    expect(await sim.job(job)).toMatchObject({ status: 'in_progress' });
    const failure = await getFailure(runner);
    expect(failure.type).toBe('instance-died');
    expect(failure.message).toMatch(reason);
    expect(failure.message).toContain('its job is lost');
    const [lost] = await sim.untilCompleted([job]);
    expect(lost).toMatchObject({ conclusion: 'failure', runner });
    const [next] = await sim.untilCompleted(await sim.jobs({ labels: ['linux'], run: 'true' }));
    expect(next).toMatchObject({ conclusion: 'success' });
    await expectNothingLeft(cluster);
  }

  it('runs every job in its own container and network, and leaves neither behind', async () => {
    const { jobs, runners } = await heldJobs(3);
    const filters = { label: [`baton.installation=${cluster.installation}`] };
    const containers = await docker.listContainers({ all: true, filters });
    expect(containers.flatMap(({ Names: names }) => names).sort()).toEqual(runners.map((name) => `/${name}`).sort());
    const networks = containers.flatMap((container) => Object.values(container.NetworkSettings.Networks));
    expect(new Set(networks.map((network) => network.NetworkID)).size).toBe(3);
    expect(networks).toHaveLength(3);
    const created = await docker.listNetworks({ filters });
    expect(created.map(({ Id: id }) => id).sort()).toEqual(networks.map((network) => network.NetworkID).sort());
    for (const runner of runners) await open(runner);
    const done = await sim.untilCompleted(jobs);
    expect(done.map(({ conclusion }) => conclusion)).toEqual(['success', 'success', 'success']);
    expect(cluster.sim.log.since(0, 'job.started')).toHaveLength(3);
    await expectNothingLeft(cluster);
  });

  it('limits a job’s memory and processes, drops its privileges and separates it from other runners', async () => {
    const listen = `node -e "require('net').createServer(s => s.end('hello')).listen(8080, () => console.log('listening'))" &`;
    const { job: host, runner: other } = await heldJob(listen);
    await until(() => expect(readOutput(host)).toContain('listening'));
    const { NetworkSettings: settings } = await docker.getContainer(other).inspect();
    const address = Object.values(settings.Networks)[0]?.IPAddress ?? '';
    const knock = (target: string, port: number, timeout = 2000): string =>
      `node -e "const s = require('net').connect({ host: '${target}', port: ${port}, timeout: ${timeout} }); ` +
      `for (const e of ['connect', 'timeout', 'error']) s.on(e, () => { console.log('${target} ' + e); process.exit(0) })"`;
    const [job = 0] = await sim.jobs({
      labels: ['linux'],
      run: [
        'set +e',
        'echo "user $(id -u):$(id -g)"',
        String.raw`grep -E '^(Cap|NoNewPrivs)' /proc/self/status | tr -s '\t' ' '`,
        'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null',
        'echo "pids $(cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null)"',
        'ls /var/run/docker.sock /run/docker.sock /dev/sda /dev/mem 2>/dev/null',
        'touch /etc/owned /baton/../owned /sys/owned /proc/sys/kernel/hostname 2>/dev/null && echo "wrote"',
        'cat /etc/shadow 2>/dev/null && echo "read"',
        TRY_300_PROCESSES,
        knock(address, 8080),
        knock('host.docker.internal', Number(new URL(cluster.temporal.address.replace(/^/, 'http://')).port)),
        // It must answer, however busy this machine is.
        knock('host.docker.internal', Number(new URL(cluster.nats.url).port), 60_000),
      ].join('\n'),
    });
    await sim.untilCompleted([job]);
    const printed = readOutput(job);
    expect(printed).toContain('user 1001:1001');
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(printed).toContain(`${set}: 0000000000000000`);
    }
    expect(printed).toContain('NoNewPrivs: 1');
    expect(printed).toContain(String(MEMORY));
    expect(printed).toContain(`pids ${PIDS}`);
    expect(Number(/children (\d+)/.exec(printed.join('\n'))?.[1])).toBeLessThan(PIDS);
    expect(printed.filter((line) => /docker\.sock|\/dev\/|wrote|read/.test(line))).toEqual([]);
    expect(printed).not.toContain(`${address} connect`);
    expect(printed.some((line) => line === `${address} timeout` || line === `${address} error`)).toBe(true);
    // Of this machine it reaches only the NATS port, which it needs.
    expect(printed.filter((line) => line.startsWith('host.docker.internal '))).toEqual([
      'host.docker.internal timeout',
      'host.docker.internal connect',
    ]);
    expect(await inside(other, 'echo alive')).toBe('alive');
    await open(other);
    await sim.untilCompleted([host]);
    await expectNothingLeft(cluster);
  });

  it('detects a container that is killed during its job at once', async () => {
    const { job, runner } = await heldJob();
    await docker.getContainer(runner).kill();
    await expectLost(job, runner, /exited with code 137/);
  });

  it('detects a container that an operator removed at once', async () => {
    const { job, runner } = await heldJob();
    await docker.getContainer(runner).remove({ force: true });
    await expectLost(job, runner, /exited with code 137|its container was removed/);
  });

  it('detects a container that died while no backend worker was running, when a worker starts', async () => {
    const { job, runner } = await heldJob();
    const workers = cluster.listCopies('backend');
    expect(workers).toHaveLength(2);
    await Promise.all(workers.map((name) => cluster.killService(name)));
    await docker.getContainer(runner).kill();
    await Promise.all(workers.map((name) => cluster.restartService(name)));
    await expectLost(job, runner, /exited with code 137/);
  });

  it('finishes a job while all backend workers are stopped', async () => {
    const { job, runner } = await heldJob();
    const workers = cluster.listCopies('backend');
    for (const name of workers) expect(await cluster.stopService(name)).toBe(0);
    await open(runner);
    const [done] = await sim.untilCompleted([job]);
    expect(done).toMatchObject({ conclusion: 'success', runner });
    await Promise.all(workers.map((name) => cluster.restartService(name)));
    await expectNothingLeft(cluster);
    expect(await cluster.runners('Completed')).toContain(`runner/linux/${runner}`);
  });
});
