import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { watchForDuplicates } from '../support/instances.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

/**
 * A forge at its worst: webhooks lost, doubled and out of order, calls that fail or whose answers get lost, a `busy` that is a
 * minute late (the jobs are shorter: it never tells of them in time). Two copies of each service.
 */
const JOBS = 60;
const MAX_RUNNERS = 6;
const CANCELLED = 4;
/** Of all chance in it; the order of events is the machine's. */
const SEED = Number(process.env['BATON_SEED'] ?? 20_261_121);

vi.setConfig({ testTimeout: 400_000 });

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local'],
    app: true,
    simulator: { seed: SEED, timing: { busyLagMs: 60_000, sweepMs: 50 } },
    config: `
health_check_interval: 3s
# So long does a runner that is too many stay, and as long again after its registration was removed.
time_to_start: 25s
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

describe('a cluster with a faulty forge', () => {
  it('with the forge at its worst every job runs once, max holds, no busy runner is removed, nothing is left', async () => {
    console.log(`chaos: BATON_SEED=${SEED}`);
    const doubles = watchForDuplicates(cluster.dir, MAX_RUNNERS);
    cluster.onStop(() => doubles.stop());
    await sim.faults({ loss: 0.1, duplication: 0.1, reorder: 0.2, delay: 0.1, delayMaxMs: 1500 });
    await sim.apiFaultRate(0.05);
    const ids: number[] = [];
    for (let wave = 0; wave < 4; wave++) {
      // Of every second wave's lost webhooks the forge itself knows nothing.
      await sim.faults({ lossIsRecorded: wave % 2 === 0 });
      ids.push(...(await sim.jobs({ count: JOBS / 4, labels: ['linux'], run: 'sleep 0.3' })));
      // The last ones wait longest: some of them are cancelled before a runner has them.
      for (const id of ids.slice(-CANCELLED / 4)) await sim.cancel(id);
      await cluster.sim.sim.webhooks.idle();
    }
    const jobs = await sim.untilCompleted(ids, 240_000);

    const { log } = cluster.sim;
    const lost = log.since(0, 'webhook.lost').length;
    const failed = log.since(0, 'api.call').filter((call) => call['status'] === 502 || call['status'] === 0).length;
    expect(lost).toBeGreaterThan(0);
    expect(failed).toBeGreaterThan(0);

    const ends = Map.groupBy(jobs, ({ conclusion }) => conclusion);
    const cancelled = new Set((ends.get('cancelled') ?? []).map(({ id }) => id));
    expect(jobs.filter(({ conclusion }) => conclusion !== 'success' && conclusion !== 'cancelled')).toEqual([]);
    expect(cancelled.size).toBeLessThanOrEqual(CANCELLED);
    const starts = Map.groupBy(log.since(0, 'job.started'), (event) => Number(event['jobId']));
    const unlike = ids.filter((id) => (starts.get(id)?.length ?? 0) !== 1 && !cancelled.has(id));
    expect(unlike).toEqual([]);
    for (const id of cancelled) expect(starts.get(id)?.length ?? 0).toBeLessThanOrEqual(1);

    await expectNothingLeft(cluster, 150_000);
    // A surplus that was removed, say by a late cancellation, was never at work.
    const hit = log.since(0, 'runner.removed').filter((event) => event['wasBusy'] === true && event['by'] === 'api');
    expect(hit).toEqual([]);
    expect(countMaxConcurrent()).toBeLessThanOrEqual(MAX_RUNNERS);
    expect(doubles.found).toEqual([]);
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ waiting: 0, busy: 0, ready: 0 }));
  });
});

/** From the simulator's own log: the most registrations that there ever were. */
function countMaxConcurrent(): number {
  let now = 0;
  let most = 0;
  for (const { type } of cluster.sim.log.since()) {
    if (type === 'runner.registered') now += 1;
    if (type === 'runner.removed') now -= 1;
    most = Math.max(most, now);
  }
  return most;
}
