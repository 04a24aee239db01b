import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Cluster, type ServiceName } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

const SERVICES: ServiceName[] = ['ingress', 'relay', 'orchestrator', 'backend'];

// Temporal gives up a killed worker after 20 s; NATS delivers its unacknowledged messages again after 30 s.
vi.setConfig({ testTimeout: 400_000 });

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local'],
    simulator: { timing: { sweepMs: 50 } },
    config: `
# GitHub never repeats a webhook by itself: the health check requests the webhooks that no ingress received.
health_check_interval: 5s
# A surplus runner stays this long, and as long again after its registration was removed.
time_to_start: 40s
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 8, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

/** Exact moments and orders; chaos.test.ts has moments by chance. */
describe('a cluster whose processes are killed or stopped', () => {
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
