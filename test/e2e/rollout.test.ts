import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { CAPACITY_STATUS, capacityWorkflowId, type CapacitySnapshot } from '../../contracts/workflows/capacity.ts';
import { dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { Cluster } from '../support/cluster.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { runBaton } from '../support/run-baton.ts';
import { SimControl } from '../support/simulator-control.ts';
import { until } from '../support/until.ts';

/** A rollout that has reached one orchestrator: relay and the other orchestrator have an older configuration file. */

// Each `baton …` is a process of its own, which takes seconds on a loaded machine.
vi.setConfig({ testTimeout: 300_000 });

let cluster: Cluster;
let sim: SimControl;
/** With a new group, another `max` and a cap. */
let newer: string;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    backends: ['local'],
    simulator: { timing: { sweepMs: 50 } },
    config: `
rollback_after: 30s
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 4, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
  newer = join(cluster.dir, 'newer.yaml');
  const text = readFileSync(cluster.configFile, 'utf8')
    .replace('max: 4', 'max: 7')
    .replace('type: local,', 'type: local, max: 9,');
  const group = `{ name: fresh, organization: acme, labels: [fresh], backend: local, runner: { directory: ${cluster.dir}/runner } }`;
  writeFileSync(newer, `${text}  - ${group}\n`);
});
afterAll(async () => {
  await cluster?.stop();
});

async function isOlder(name: string): Promise<boolean> {
  const metrics = await (await fetch(`${cluster.getUrl(name)}/metrics`)).text();
  return /^baton_config_older\S* 1$/m.test(metrics);
}

async function runJob(label: string): Promise<void> {
  const [job] = await sim.untilCompleted(await sim.jobs({ labels: [label], run: 'true' }));
  expect(job).toMatchObject({ conclusion: 'success' });
}

const statusAnswer = z.object({ deadLetters: z.number(), olderFile: z.string().nullable() });

async function readStatus(): Promise<z.infer<typeof statusAnswer>> {
  const { stdout } = await runBaton(cluster, 'observer', ['status', '--json']);
  return statusAnswer.parse(JSON.parse(stdout));
}

/** What runs, as the newer file wants it. */
async function expectNewer(): Promise<void> {
  expect(await cluster.dispatcher('fresh')).toMatchObject({ removed: false, settings: { max: 20 } });
  expect(await cluster.dispatcher('linux')).toMatchObject({ removed: false, settings: { max: 7 } });
  const capacity = cluster.client.workflow.getHandle(capacityWorkflowId('local'));
  expect(await capacity.query<CapacitySnapshot>(CAPACITY_STATUS)).toMatchObject({ max: 9 });
  await cluster.client.schedule.getHandle('health-check/fresh').describe();
}

describe('a newer configuration file of one orchestrator only', () => {
  it('holds, and jobs of its new group run, although relay and the other orchestrator have an older file', async () => {
    await cluster.startService('orchestrator', 2, { config: newer });
    await runJob('fresh');
    await cluster.stopService('orchestrator-1');
    await cluster.restartService('orchestrator-1');
    await until(async () => expect(await isOlder('orchestrator-1')).toBe(true));
    await until(async () => expect(await isOlder('relay-1')).toBe(true));
    expect(await isOlder('orchestrator-2')).toBe(false);
    await runJob('fresh');
    await runJob('linux');
    await until(expectNewer);
    expect(await readStatus()).toMatchObject({ deadLetters: 0 });
  });

  it('ends once no process with that file has been alive for a while: it was rolled back', async () => {
    await cluster.stopService('orchestrator-2');
    expect(await readStatus()).toMatchObject({ olderFile: expect.stringContaining('after baton apply') as unknown });
    const ready = await fetch(`${cluster.getUrl('orchestrator-1')}/readyz`);
    expect(await ready.json()).toMatchObject({ status: 'ready', configuration: expect.any(String) as unknown });
    await cluster.client.workflow.getHandle(dispatcherWorkflowId('fresh')).result();
    await until(async () => expect(await isOlder('orchestrator-1')).toBe(false));
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ settings: { max: 4 } }));
    await runJob('linux');
    expect(await readStatus()).toMatchObject({ olderFile: null });
  });

  it('does not come back with an orchestrator that still has that file, but with `baton apply`', async () => {
    await cluster.restartService('orchestrator-2');
    await until(async () => expect(await isOlder('orchestrator-2')).toBe(true));
    await runJob('linux');
    expect(await cluster.dispatcher('linux')).toMatchObject({ settings: { max: 4 } });
    await runBaton(cluster, 'admin', ['apply', newer]);
    await until(async () => expect(await isOlder('relay-1')).toBe(true));
    await until(expectNewer);
    await runJob('fresh');
    expect(await readStatus()).toMatchObject({ deadLetters: 0 });
  });

  it('goes at once where that same file is changed back', async () => {
    writeFileSync(newer, readFileSync(cluster.configFile, 'utf8'));
    await cluster.stopService('orchestrator-2');
    await cluster.restartService('orchestrator-2');
    await until(async () => expect(await isOlder('relay-1')).toBe(false));
    await until(async () => expect(await cluster.dispatcher('linux')).toMatchObject({ settings: { max: 4 } }));
    await expectNothingLeft(cluster);
  });
});
