import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { watchForDuplicates } from '../support/instances.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

/**
 * A very unreliable forge: it loses, duplicates and reorders webhooks, calls fail or their answers get lost, and its
 * `busy` flag is a minute late (the jobs are shorter: it never shows them in time). Two copies of each service.
 */
const JOBS = 60;
const MAX_RUNNERS = 6;
const CANCELLED = 4;
/** Seed of all random choices; the order of events still depends on the machine. */
const SEED = Number(process.env['BATON_SEED'] ?? 20_261_121);

vi.setConfig({ testTimeout: 400_000 });

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local'],
    apps: 1,
    simulator: { seed: SEED, timing: { busyLagMs: 60_000, sweepMs: 50 } },
    config: `
health_check_interval: 3s
# A surplus runner stays this long, and as long again after its registration was removed.
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

describe('a cluster with an unreliable forge', () => {
  it('runs every job once, never exceeds max, removes no busy runner and leaves nothing behind', async () => {
    console.log(`chaos: BATON_SEED=${SEED}`);
    const doubles = watchForDuplicates(cluster.dir, MAX_RUNNERS);
    cluster.onStop(() => doubles.stop());
    await sim.faults({ loss: 0.1, duplication: 0.1, reorder: 0.2, delay: 0.1, delayMaxMs: 1500 });
    await sim.apiFaultRate(0.05);
    const ids: number[] = [];
    for (let wave = 0; wave < 4; wave++) {
      // In every second wave the forge does not even record that it lost webhooks.
      await sim.faults({ lossIsRecorded: wave % 2 === 0 });
      ids.push(...(await sim.jobs({ count: JOBS / 4, labels: ['linux'], run: 'sleep 0.3' })));
      // The last jobs wait longest: some of them are cancelled before a runner has them.
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
    const notStartedOnce = ids.filter((id) => (starts.get(id)?.length ?? 0) !== 1 && !cancelled.has(id));
    expect(notStartedOnce).toEqual([]);
    for (const id of cancelled) expect(starts.get(id)?.length ?? 0).toBeLessThanOrEqual(1);

    await expectNothingLeft(cluster, 150_000);
    // A surplus runner, for instance after a late cancellation, may be removed; it never had a job.
    const removedWhileBusy = log
      .since(0, 'runner.removed')
      .filter((event) => event['wasBusy'] === true && event['by'] === 'api');
    expect(removedWhileBusy).toEqual([]);
    expect(countMaxConcurrent()).toBeLessThanOrEqual(MAX_RUNNERS);
    expect(doubles.found).toEqual([]);
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ waiting: 0, busy: 0, ready: 0 }));
  });
});

/** The maximum of registrations at the same time, from the simulator's log. */
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
