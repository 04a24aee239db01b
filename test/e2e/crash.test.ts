import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createRandom } from '../../services/simulator/random.ts';
import { Cluster, type ServiceName } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { watchForDuplicates } from '../support/instances.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

/**
 * kill -9 of one process, or of all at once, at twenty random moments while a hundred jobs run: each job runs once, to
 * its end, on an instance that is created once, and nothing is left behind.
 */
const JOBS = 100;
/** The group's `max`. */
const MAX_RUNNERS = 8;
const KILLS = 20;
const EVERYTHING = 'everything';
const SERVICES: ServiceName[] = ['ingress', 'relay', 'orchestrator', 'backend'];
const SEED = Number(process.env['BATON_SEED'] ?? Date.now() % 1_000_000);

// Temporal gives up a killed worker after 20 s; NATS delivers its unacknowledged messages again after 30 s.
vi.setConfig({ testTimeout: 900_000 });

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local'],
    simulator: { seed: SEED, timing: { sweepMs: 50 } },
    config: `
# GitHub never repeats a webhook by itself: the health check requests the webhooks that no ingress received.
health_check_interval: 5s
# A surplus runner stays this long, and as long again after its registration was removed.
time_to_start: 40s
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: ${MAX_RUNNERS}, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

/** Kills the victim and starts it again after `downMs`. */
async function crash(victim: string, downMs: number): Promise<void> {
  const all = victim === EVERYTHING;
  const services = SERVICES.flatMap((service) => cluster.listCopies(service)).filter((name) => all || name === victim);
  const servers = [
    ...(all || victim === 'nats' ? [cluster.haltNats()] : []),
    ...(all || victim === 'temporal' ? [cluster.haltTemporal()] : []),
  ];
  await Promise.all([...servers, ...services.map((name) => cluster.killService(name))]);
  await sleep(downMs);
  await Promise.all(servers.map(async (server) => (await server).resume()));
  await Promise.all(services.map((name) => cluster.restartService(name)));
}

describe('a cluster whose processes are killed', () => {
  it('runs each of 100 jobs once while any process, or all at once, get kill -9 at random moments', async () => {
    console.log(`crash: BATON_SEED=${SEED}`);
    const random = createRandom(SEED);
    const doubles = watchForDuplicates(cluster.dir, MAX_RUNNERS);
    cluster.onStop(() => doubles.stop());
    const processes = [...SERVICES.flatMap((service) => cluster.listCopies(service)), 'nats', 'temporal'];
    const more = Array.from({ length: KILLS - processes.length - 4 }, () => random.pick(processes) ?? EVERYTHING);
    const victims = random.shuffle([...processes, ...more, EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING]);
    // How many jobs have started when each kill happens; the last kills happen before the last jobs start.
    const moments = victims.map(() => random.integer(0, JOBS - MAX_RUNNERS)).sort((a, b) => a - b);
    const { log } = cluster.sim;
    const started = (): number => log.since(0, 'job.started').length;

    const ids = await sim.jobs({ count: JOBS, labels: ['linux'], run: 'sleep 0.5' });
    for (const [index, victim] of victims.entries()) {
      await until(() => expect(started()).toBeGreaterThanOrEqual(moments[index] ?? 0), { timeoutMs: 180_000 });
      await sleep(random.integer(0, 500));
      await crash(victim, random.integer(0, 1500));
    }

    const jobs = await sim.untilCompleted(ids, 300_000);
    expect(jobs.filter(({ conclusion }) => conclusion !== 'success')).toEqual([]);
    const starts = log.since(0, 'job.started').map(({ jobId }) => Number(jobId));
    expect(starts.toSorted((a, b) => a - b)).toEqual(ids.toSorted((a, b) => a - b));
    await expectNothingLeft(cluster, 180_000);
    // Instances were adopted: none ever had a second agent, and there were never more than `max`.
    expect(doubles.found).toEqual([]);
    const removedWhileBusy = log
      .since(0, 'runner.removed')
      .filter((event) => event['wasBusy'] === true && event['by'] === 'api');
    expect(removedWhileBusy).toEqual([]);
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ waiting: 0, busy: 0, ready: 0 }));
  });

  it('runs a job when both orchestrators are killed while the forge answers the registration request', async () => {
    await sim.apiFault({ method: 'POST', path: '/generate-jitconfig', fault: 'slow', delayMs: 30_000 });
    const ids = await sim.jobs({ labels: ['linux'], run: 'true' });
    await until(async () => expect(await sim.pendingApiFaults()).toBe(0));
    const names = cluster.listCopies('orchestrator');
    await Promise.all(names.map((name) => cluster.killService(name)));
    await Promise.all(names.map((name) => cluster.restartService(name)));
    const [job] = await sim.untilCompleted(ids, 180_000);
    expect(job).toMatchObject({ conclusion: 'success' });
    await expectNothingLeft(cluster, 180_000);
  });

  it('loses no job in an update: every copy of every service stops on SIGTERM and is started again', async () => {
    const ids = await sim.jobs({ count: 20, labels: ['linux'], run: 'sleep 0.5' });
    for (const name of SERVICES.flatMap((service) => cluster.listCopies(service))) {
      expect(await cluster.stopService(name)).toBe(0);
      await cluster.restartService(name);
    }
    const jobs = await sim.untilCompleted(ids, 180_000);
    expect(jobs.map(({ conclusion }) => conclusion)).toEqual(ids.map(() => 'success'));
    await expectNothingLeft(cluster, 180_000);
  });
});
