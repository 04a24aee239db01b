import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Cluster, type ServiceName } from './cluster.ts';
import { SimControl } from './control.ts';
import { watchForDoubles } from './instances.ts';
import { expectNothingLeft } from './leftovers.ts';

/** Whatever dies in the middle of twenty jobs, each of them runs once, to its end, and nothing is left. */

const JOBS = 20;
/** Of them at once. */
const MOST = 8;

// A worker that was killed is given up after 20 s, a message that it had in hand after 30 s.
vi.setConfig({ testTimeout: 300_000 });

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local'],
    simulator: { timing: { sweepMs: 50 } },
    config: `
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: ${MOST}, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

/** Points of a run of twenty jobs: each resolves when it is reached, at once where that is past. */
interface Moments {
  /** Ingress has just taken the last `queued`. Were only earlier ones lost, the others' runners would serve those jobs too. */
  arrival: () => Promise<unknown>;
  /** The first instance has just been made, and others are being made. */
  creation: () => Promise<unknown>;
  /** All webhooks that say `queued` have been taken; a job runs. */
  running: () => Promise<unknown>;
}

/** Runs twenty jobs, does `disturb` meanwhile, and holds that all went as it should. */
async function twentyJobs(disturb: (moments: Moments) => Promise<void>): Promise<void> {
  const { log } = cluster.sim;
  const first = log.since().length;
  const runnersBefore = (await cluster.runners('Completed')).length;
  const doubles = watchForDoubles(cluster, MOST);
  const folder = join(cluster.dir, 'local', cluster.manager);
  const moments: Moments = {
    arrival: () => {
      let sent = 0;
      return log.waitFor('webhooks', ({ type }) => type === 'webhook.sent' && ++sent === JOBS, { after: first });
    },
    creation: () => {
      const started = (name: string): boolean => existsSync(join(folder, name, 'process.json'));
      return vi.waitFor(() => expect(readdirSync(folder).some(started)).toBe(true), { timeout: 30_000, interval: 1 });
    },
    running: async () => {
      await cluster.sim.sim.webhooks.idle();
      await log.waitFor('a job', ({ type }) => type === 'job.started', { after: first, timeoutMs: 60_000 });
    },
  };
  try {
    const ids = await sim.jobs({ count: JOBS, labels: ['linux'], run: 'sleep 0.5' });
    await disturb(moments);
    const jobs = await sim.untilCompleted(ids, 240_000);
    expect(jobs.map(({ conclusion }) => conclusion)).toEqual(ids.map(() => 'success'));
    const starts = log.since(first, 'job.started').map(({ jobId }) => Number(jobId));
    expect(starts.toSorted((a, b) => a - b)).toEqual(ids.toSorted((a, b) => a - b));
    await expectNothingLeft(cluster, 120_000);
    expect(await cluster.dispatcher('linux')).toMatchObject({ waiting: 0, busy: 0, ready: 0 });
    expect(doubles.found).toEqual([]);
    expect(await cluster.runners('Failed')).toEqual([]);
    expect((await cluster.runners('Completed')).length - runnersBefore).toBe(JOBS);
  } finally {
    doubles.stop();
  }
}

/** Resolves when every job that runs now is completed: with whatever is missing meanwhile. */
async function untilThoseRunningAreDone(): Promise<void> {
  const running = (await sim.allJobs()).filter(({ status }) => status === 'in_progress');
  if (running.length > 0) await sim.untilCompleted(running.map(({ id }) => id));
}

async function killAll(names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => cluster.killService(name)));
}

async function restartAll(names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => cluster.restartService(name)));
}

/** When each service has most in hand. GitHub doesn't repeat a webhook that nobody took: ingress has its later ones to lose. */
const BUSIEST: [ServiceName, keyof Moments][] = [
  ['ingress', 'running'],
  ['relay', 'arrival'],
  ['orchestrator', 'arrival'],
  ['backend', 'creation'],
];

describe('twenty jobs outlive', () => {
  test.each(BUSIEST)('kill -9 of one %s, at %s, and then of the other', async (service, busiest) => {
    await twentyJobs(async (moments) => {
      const [one = '', other = ''] = cluster.copiesOf(service);
      await moments[busiest]();
      await cluster.killService(one);
      await cluster.restartService(one);
      await moments.running();
      await cluster.killService(other);
      await cluster.restartService(other);
    });
  });

  test.each(BUSIEST.slice(1))('kill -9 of both copies of %s, at %s, and again', async (service, busiest) => {
    await twentyJobs(async (moments) => {
      const names = cluster.copiesOf(service);
      await moments[busiest]();
      await killAll(names);
      await cluster.sim.sim.webhooks.idle();
      await restartAll(names);
      await moments.running();
      await killAll(names);
      await untilThoseRunningAreDone();
      await restartAll(names);
    });
  });

  test('kill -9 of both orchestrators while the forge is about to answer', async () => {
    await sim.apiFault({ method: 'GET', path: '/actions/runners', fault: 'slow', delayMs: 60_000 });
    const ids = await sim.jobs({ labels: ['linux'], run: 'true' });
    await vi.waitFor(async () => expect(await sim.pendingApiFaults()).toBe(0), { timeout: 30_000, interval: 20 });
    const names = cluster.copiesOf('orchestrator');
    await killAll(names);
    await restartAll(names);
    await sim.untilCompleted(ids);
    await expectNothingLeft(cluster, 60_000);
  });

  test('kill -9 of the NATS server', async () => {
    await twentyJobs(async (moments) => {
      await moments.arrival();
      const first = await cluster.haltNats();
      await first.resume();
      await moments.running();
      const second = await cluster.haltNats();
      await untilThoseRunningAreDone();
      await second.resume();
    });
  });

  test('kill -9 of the Temporal server', async () => {
    await twentyJobs(async (moments) => {
      await moments.arrival();
      const first = await cluster.haltTemporal();
      await first.resume();
      await moments.running();
      const second = await cluster.haltTemporal();
      await untilThoseRunningAreDone();
      await second.resume();
    });
  });

  test('a new version: every copy of every service stops when it is asked to, and is started again', async () => {
    await twentyJobs(async (moments) => {
      await moments.arrival();
      for (const name of BUSIEST.flatMap(([service]) => cluster.copiesOf(service))) {
        expect(await cluster.stopService(name)).toBe(0);
        await cluster.restartService(name);
      }
    });
  });
});
