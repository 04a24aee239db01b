import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killInstanceIn } from '../support/instances.ts';
import { Cluster } from '../support/cluster.ts';
import { findClusterLeftovers } from '../support/find-leftovers.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { runBaton } from '../support/run-baton.ts';
import { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';

/** What becomes of instances and slots while the forge does not let go of registrations. */

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    apps: 1,
    backends: ['local'],
    // GitHub may call a runner busy for hours whose machine is gone.
    simulator: { timing: { sweepMs: 50, lostMs: 3_600_000 } },
    config: `
time_to_start: 5s
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: single, organization: acme, labels: [single], backend: local, max: 1, runner: { directory: ROOT/runner } }
  - { name: warm, organization: acme, labels: [warm], backend: local, min: 1, max: 1, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

const listRunners = (group: string) =>
  [...cluster.sim.sim.state.runners.values()].filter(({ name }) => name.includes(`-${group}-`));

async function listFolders(group: string): Promise<string[]> {
  const { folders = [] } = await findClusterLeftovers(cluster);
  return folders.filter((name) => name.includes(`-${group}-`));
}

async function readGauge(group: string): Promise<string | undefined> {
  const text = await (await fetch(`${cluster.getUrl('orchestrator-1')}/metrics`)).text();
  return new RegExp(`^baton_registrations_lingering\\{group="${group}",[^}]*\\} (\\d+)$`, 'm').exec(text)?.[1];
}

async function readStatus(): Promise<string> {
  return (await runBaton(cluster, 'observer', ['status'])).stdout;
}

describe('an instance that died in the middle of a job', () => {
  it('frees its slot at once although the forge calls its runner busy for hours; what waits is shown', async () => {
    const [lost = 0] = await sim.jobs({ labels: ['single'], run: 'sleep 600' });
    const runner = await until(async () => {
      const job = await sim.job(lost);
      expect(job.status).toBe('in_progress');
      return job.runner ?? '';
    });
    await killInstanceIn(join(cluster.dir, 'local', cluster.installation, runner));
    const [next = 0] = await sim.jobs({ labels: ['single'], run: 'true' });
    await sim.untilCompleted([next]);
    expect(await sim.job(next)).toMatchObject({ conclusion: 'success' });
    expect((await sim.job(lost)).status).toBe('in_progress');
    await until(async () => expect(await readGauge('single')).toBe('1'));
    await until(async () => expect(await readStatus()).toContain('1 registration waits for GitHub to let go'));
    await until(async () =>
      expect(await cluster.dispatcher('single')).toMatchObject({ waiting: 0, busy: 0, ready: 0, leaving: 0 }),
    );
    // It is no runner any more.
    expect(await readStatus()).not.toContain(runner);
    await sim.complete(lost, 'failure');
    await until(() => expect(listRunners('single')).toEqual([]));
    await until(async () => expect(await readGauge('single')).toBe('0'));
  });
});

describe('an idle runner that retires', () => {
  it('leaves no instance and holds no slot while the App is suspended; afterwards its registration goes, too', async () => {
    const [warm] = await until(() => {
      const online = listRunners('warm').filter((runner) => runner.online);
      expect(online).toHaveLength(1);
      return online;
    });
    const [app] = cluster.sim.sim.apps.keys();
    await sim.setApp(app ?? 0, { suspended: true });
    await runBaton(cluster, 'admin', ['drain', 'warm']);
    await until(async () => expect(await listFolders('warm')).toEqual([]));
    await until(async () => expect(await cluster.dispatcher('warm')).toMatchObject({ busy: 0, ready: 0, leaving: 0 }));
    await until(async () => expect(await readGauge('warm')).toBe('1'));
    expect(listRunners('warm').map(({ name }) => name)).toEqual([warm?.name]);
    await sim.setApp(app ?? 0, { suspended: false });
    await until(() => expect(listRunners('warm')).toEqual([]));
    await expectNothingLeft(cluster);
  });
});
