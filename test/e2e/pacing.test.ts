import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { runBaton } from '../support/run-baton.ts';
import { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';

/** Sixty points a minute are twelve registrations, in all groups of the organisation together. */
const PER_MINUTE = 12;

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local'],
    simulator: { limits: { secondaryPoints: 60 } },
    config: `
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 50, runner: { directory: ROOT/runner } }
  - { name: other, organization: acme, labels: [other], backend: local, max: 50, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

async function countRunners(): Promise<number> {
  return (await cluster.runners('Running')).length;
}

describe('more jobs than the forge lets runners register', () => {
  it('start as many runners as can be registered in a minute, in all groups together, and say so', async () => {
    const jobs = await sim.jobs({ count: 30, labels: ['linux'], run: 'sleep 1000' });
    await until(async () => expect((await cluster.dispatcher('linux')).pace).toMatchObject({ heldBack: 18 }));
    await until(async () => expect(await countRunners()).toBe(PER_MINUTE));
    const { stdout } = await runBaton(cluster, 'observer', ['status']);
    expect(stdout).toContain('12 of 30 started; GitHub lets 12 a minute register');

    const [job = 0] = await sim.jobs({ labels: ['other'], run: 'sleep 1000' });
    await until(async () => expect((await cluster.dispatcher('other')).pace).toMatchObject({ heldBack: 1 }));
    const explained = await runBaton(cluster, 'observer', ['explain', String(job)]);
    expect(explained.stdout).toContain('0 of 1 started; GitHub lets 12 a minute register');
    expect(await countRunners()).toBe(PER_MINUTE);
    const metrics = await Promise.all(
      cluster
        .listCopies('orchestrator')
        .map(async (name) => await (await fetch(`${cluster.getUrl(name)}/metrics`)).text()),
    );
    expect(metrics.join('\n')).toMatch(/baton_starts_held_back_total\{scope="acme",service="orchestrator"\} [1-9]/);

    for (const id of [...jobs, job]) await sim.cancel(id);
    await until(async () => expect((await cluster.dispatcher('linux')).pace).toBeNull());
  });
});
