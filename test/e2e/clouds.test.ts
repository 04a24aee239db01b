import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { untilExists } from '../support/held-script.ts';
import { findMoto } from '../support/moto.ts';
import { AllBackends, BACKENDS, type BackendName } from '../support/all-backends.ts';
import type { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { describeUnless } from '../support/describe-unless.ts';
import { whyNoDocker } from '../support/docker.ts';
import { interruptCreates } from '../support/create-interruptions.ts';
import { watchForDuplicates } from '../support/instances.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { watchStarts } from '../support/starts.ts';
import { until } from '../support/until.ts';

/** One installation with backends of all kinds. */

/** Jobs of each group. */
const JOBS = 25;
/** Jobs whose instances are being created when the backend's worker is killed: as many as the group's `max`. */
const KILLED_JOBS = 3;

/** A job that runs until this file exists on its machine. */
const HELD = untilExists('/tmp/open');

const moto = await findMoto();
const absent = 'missing' in moto ? moto.missing : await whyNoDocker();

describeUnless(absent, 'an installation with backends of all kinds', () => {
  let all: AllBackends;
  let cluster: Cluster;
  let sim: SimControl;

  beforeAll(async () => {
    all = await AllBackends.start('program' in moto ? moto.program : '');
    cluster = all.cluster;
    sim = new SimControl(cluster.sim.address);
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  /** Waits until nothing is left anywhere. Also asserts that no cloud instance booted twice. */
  async function expectAllGone(): Promise<void> {
    const { gce, ec2 } = all;
    await expectNothingLeft(cluster, 120_000);
    await until(async () => {
      expect(gce.project.listMachines([cluster.installation])).toEqual([]);
      expect(await ec2.findRunners(cluster.installation)).toEqual([]);
    });
    for (const { boots } of [gce, ec2]) expect([...boots].filter(([, count]) => count !== 1)).toEqual([]);
    expect(ec2.faults).toEqual([]);
  }

  it('runs each of 100 jobs once, on its group’s backend, and leaves nothing behind', async () => {
    const jobs = await Promise.all(BACKENDS.map((name) => sim.jobs({ count: JOBS, labels: [name], run: 'true' })));
    const done = await sim.untilCompleted(jobs.flat(), 500_000);
    expect(done).toHaveLength(100);
    expect(done.map(({ conclusion }) => conclusion)).toEqual(done.map(() => 'success'));
    for (const [index, name] of BACKENDS.entries()) {
      const runners = done.filter(({ id }) => jobs[index]?.includes(id)).map(({ runner }) => runner ?? '');
      expect(new Set(runners).size).toBe(JOBS);
      expect(runners.filter((runner) => !runner.startsWith(`${cluster.installation}-${name}-`))).toEqual([]);
    }
    await expectAllGone();
  }, 700_000);

  it.each(['gce', 'ec2'] as const)(
    'shows the running job in the tags of its %s instance',
    async (name) => {
      const machines = all[name];
      const [id = 0] = await sim.jobs({ labels: [name], run: HELD });
      const runner = await until(async () => {
        const job = await sim.job(id);
        const tags = Object.entries(await machines.readTags(job.runner ?? ''));
        const tagged = Object.fromEntries(tags.map(([key, value]) => [key.replace(/^baton[.-]/, ''), value]));
        expect(tagged).toMatchObject({ runner: job.runner, phase: 'busy', run: String(job.runId), attempt: '1' });
        return tagged['runner'] ?? '';
      });
      await machines.inside(runner, 'touch /tmp/open');
      expect(await sim.untilCompleted([id], 100_000)).toMatchObject([{ conclusion: 'success', runner }]);
      await expectAllGone();
    },
    400_000,
  );

  it('adopts the instances of backend workers that are killed during creation, and creates none twice', async () => {
    await expectAllGone();
    const inside = interruptCreates(all, KILLED_JOBS);
    const doubles = watchForDuplicates(cluster.dir, KILLED_JOBS);
    const starts = await watchStarts(cluster.installation);
    try {
      const jobs: number[] = [];
      const kill = async (name: BackendName): Promise<void> => {
        const { caught, repair, release } = inside[name];
        const service = `backend-${name}-1`;
        const runners = await caught(async () => {
          jobs.push(...(await sim.jobs({ count: KILLED_JOBS, labels: [name], run: 'true' })));
        });
        await cluster.killService(service);
        repair();
        const { length } = readLog(cluster, service);
        await cluster.restartService(service);
        await until(
          () => {
            const created = findCreatedRunners(readLog(cluster, service).slice(length));
            expect(created).toEqual(expect.arrayContaining(runners));
          },
          { timeoutMs: 120_000 },
        );
        release();
      };
      await Promise.all(BACKENDS.map(kill));
      const done = await sim.untilCompleted(jobs, 300_000);
      expect(done.map(({ conclusion }) => conclusion)).toEqual(jobs.map(() => 'success'));
      expect(new Set(done.map(({ runner }) => runner)).size).toBe(jobs.length);
    } finally {
      for (const { repair, release } of Object.values(inside)) {
        repair();
        release();
      }
      doubles.stop();
      starts.stop();
    }
    await expectAllGone();
    expect(doubles.found).toEqual([]);
    expect([...starts.counts.values()]).toEqual([1, 1, 1]);
  }, 600_000);
});

function readLog(cluster: Cluster, service: string): string {
  return readFileSync(cluster.services.get(service)?.logFile ?? '', 'utf8');
}

/** The runners whose instances the backend's worker has created, from its log. */
function findCreatedRunners(log: string): string[] {
  return log
    .split('\n')
    .filter((line) => line.includes('"msg":"instance created"'))
    .map((line) => /"runner":"([^"]+)"/.exec(line)?.[1] ?? '');
}
