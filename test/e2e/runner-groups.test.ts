import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RunnerGroup } from '../../services/simulator/state.ts';
import { Cluster } from '../support/cluster.ts';
import { runBaton } from '../support/run-baton.ts';
import { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';

/** A group whose name an existing, restricted runner group of the organisation has: two orchestrators, the real command line. */

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
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 2, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
  await sim.setPrivate('acme/hello', true);
});
afterAll(async () => {
  await cluster?.stop();
});

const findGroups = (): RunnerGroup[] => {
  const groups = [...(cluster.sim.sim.state.accounts.get('acme')?.groups.values() ?? [])];
  return groups.filter(({ name }) => name.toLowerCase() === 'gpu');
};

async function apply(change: (text: string) => string): Promise<void> {
  writeFileSync(cluster.configFile, change(readFileSync(cluster.configFile, 'utf8')));
  const { code, stdout, stderr } = await runBaton(cluster, 'admin', ['apply', cluster.configFile]);
  expect({ code, output: stdout + stderr }).toMatchObject({ code: 0 });
}

const status = async (): Promise<string> => (await runBaton(cluster, 'observer', ['status'])).stdout;

async function readMetrics(): Promise<string[]> {
  const urls = cluster.listCopies('orchestrator').map((name) => cluster.getUrl(name));
  return await Promise.all(urls.map(async (url) => await (await fetch(`${url}/metrics`)).text()));
}

const readLogs = (): string[] =>
  cluster.listCopies('orchestrator').map((name) => readFileSync(join(cluster.dir, 'logs', `${name}.log`), 'utf8'));

describe('a restricted runner group `gpu` on the forge beside a group `gpu` of the configuration', () => {
  /** A job that waits until the group is adopted. */
  let gpu = 0;

  it('is neither opened nor used: no runner of it starts, and status, log and metric say why; other groups go on', async () => {
    const account = cluster.sim.sim.state.accounts.get('acme');
    if (account === undefined) throw new Error('there is no organisation acme');
    const group: RunnerGroup = {
      id: cluster.sim.sim.nextId('group'),
      name: 'GPU',
      default: false,
      visibility: 'selected',
      repositoryIds: new Set(),
      allowsPublicRepositories: false,
      restrictedToWorkflows: false,
      selectedWorkflows: [],
    };
    account.groups.set(group.id, group);
    const before = structuredClone(group);
    await apply(
      (text) =>
        `${text.trimEnd()}\n  - { name: gpu, organization: acme, labels: [gpu], backend: local, max: 2, runner: { directory: ${join(cluster.dir, 'runner')} } }\n`,
    );
    await until(async () => {
      for (const metrics of await readMetrics())
        expect(metrics).toMatch(/^baton_runner_group_refused{group="gpu".*} 1$/m);
    });
    [gpu = 0] = await sim.jobs({ labels: ['gpu'], run: 'true' });
    await until(async () => expect(await status()).toMatch(/gpu .*Baton did not make it/));
    const [linux] = await sim.untilCompleted(await sim.jobs({ labels: ['linux'], run: 'true' }));
    expect(linux).toMatchObject({ conclusion: 'success' });

    expect((await sim.job(gpu)).status).toBe('queued');
    expect((await cluster.runners('Running')).filter((id) => id.includes('/gpu/'))).toEqual([]);
    expect(findGroups()).toEqual([before]);
    for (const log of readLogs()) expect(log).toContain('GROUP_NOT_ADOPTED');
  });

  it('is used once it is adopted, with the access that it has and no more', async () => {
    const [group] = findGroups();
    const repository = cluster.sim.sim.state.repositories.get('acme/hello');
    group?.repositoryIds.add(repository?.id ?? 0);
    await apply((text) => text.replace('name: gpu,', 'name: gpu, adopt: true,'));
    await until(async () => {
      for (const metrics of await readMetrics()) expect(metrics).not.toContain('baton_runner_group_refused{');
      for (const log of readLogs()) expect(log).toContain('with less access than configured');
    });
    const done = await sim.untilCompleted([gpu]);
    expect(done.map(({ conclusion }) => conclusion)).toEqual(['success']);
    expect(group).toMatchObject({
      name: 'GPU',
      visibility: 'selected',
      allowsPublicRepositories: false,
      repositoryIds: new Set([repository?.id]),
    });
  });
});
