import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { bridgeGateway } from '../../services/cli/start/engine.ts';
import { GceMachines } from '../machines/gce-machines.ts';
import { machineImage, removeMachines } from '../machines/machine.ts';
import { bundleStandInRunner } from '../simulator/runner/bundle.ts';
import { Cluster } from './cluster.ts';
import { SimControl } from './control.ts';
import { dockerAnswers } from './docker.ts';
import { expectNothingLeft } from './leftovers.ts';

/** Backends of all kinds in one manager. The clouds' machines are containers that boot as bare machines do. */

const LABEL = 'clouds-e2e';
/** Jobs of each group, which is named like its backend. */
const JOBS = { docker: 33, local: 34, gce: 33 };
const GROUPS = Object.keys(JOBS);

/** A bare image, and GitHub's runner's stand-in baked into it. */
async function imageWithRunner(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'baton-runner-'));
  try {
    await bundleStandInRunner(folder);
    const files = readdirSync(folder).map((name) => {
      return { path: `/home/runner/${name}`, content: readFileSync(join(folder, name)), mode: 0o755 };
    });
    return await machineImage('baton-test-machine-runner', files);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(!(await dockerAnswers()))('backends of all kinds, side by side', () => {
  let cluster: Cluster;
  let sim: SimControl;
  let gce: GceMachines;
  let label: string;

  beforeAll(async () => {
    const image = await imageWithRunner();
    label = `${LABEL}-${process.pid}`;
    gce = await GceMachines.start(image, { 'baton.test': label });
    const groups = GROUPS.map((name) => ({
      name,
      organization: 'acme',
      labels: [name],
      backend: name,
      max: 4,
      ...(name === 'docker' ? { instance: { image: 'IMAGE' } } : {}),
      ...(name === 'local' ? { runner: { directory: 'ROOT/runner' } } : {}),
    }));
    const backends = {
      docker: { type: 'docker', network_pool: '10.218.0.0/16', nats_url: 'NATS_URL' },
      local: { type: 'local', root: 'ROOT/local' },
      gce: { ...gce.project.settings({ poll: '1s' }), ingress_url: 'INGRESS_URL', nats_url: 'NATS_URL' },
    };
    cluster = await Cluster.start({
      copies: 1,
      backends: Object.keys(backends),
      containers: true,
      backendEnv: { GCE_METADATA_HOST: gce.project.server.metadataHost },
      config: stringify({ backends, groups }),
    });
    // Processes of this machine and containers both know it by its address alone.
    const gateway = await bridgeGateway(new Docker());
    const urls = cluster.sim.sim.urls;
    urls.runner = urls.runner.replace('host.docker.internal', gateway ?? '');
    sim = new SimControl(cluster.sim.address);
  });

  afterAll(async () => {
    await cluster?.stop();
    await gce?.stop();
    await removeMachines(`baton.test=${label}`);
  });

  test('100 jobs: each runs once, on its own group’s backend, and nothing is left', async () => {
    const jobs = await Promise.all(
      Object.entries(JOBS).map(([name, count]) => sim.jobs({ count, labels: [name], run: 'true' })),
    );
    const done = await sim.untilCompleted(jobs.flat(), 500_000);
    expect(done).toHaveLength(100);
    expect(done.map(({ conclusion }) => conclusion)).toEqual(done.map(() => 'success'));
    for (const [index, name] of GROUPS.entries()) {
      const runners = done.filter(({ id }) => jobs[index]?.includes(id)).map(({ runner }) => runner ?? '');
      expect(new Set(runners).size).toBe(jobs[index]?.length);
      expect(runners.filter((runner) => !runner.startsWith(`${cluster.manager}-${name}-`))).toEqual([]);
    }
    await expectNothingLeft(cluster, 120_000);
    await vi.waitFor(() => expect(gce.project.machinesOf([cluster.manager])).toEqual([]), 60_000);
    expect([...gce.boots.values()].filter((count) => count !== 1)).toEqual([]);
  }, 700_000);

  test('a backend worker that is killed while it creates: the machine is adopted, and none is doubled', async () => {
    const { cloud } = gce.project.server;
    const before = gce.boots.size;
    cloud.options.operationMs = 4000;
    const jobs = await sim.jobs({ count: 3, labels: ['gce'], run: 'true' });
    // The request was taken, and its machine does not run yet.
    await vi.waitFor(() => expect(cloud.machines.size).toBeGreaterThan(0), { timeout: 60_000, interval: 20 });
    await cluster.killService('backend-gce-1');
    await cluster.restartService('backend-gce-1');
    const done = await sim.untilCompleted(jobs, 300_000);
    expect(done.map(({ conclusion }) => conclusion)).toEqual(['success', 'success', 'success']);
    cloud.options.operationMs = 200;
    await expectNothingLeft(cluster, 120_000);
    await vi.waitFor(() => expect(gce.project.machinesOf([cluster.manager])).toEqual([]), 60_000);
    expect(gce.boots.size - before).toBe(3);
    expect([...gce.boots.values()].filter((count) => count !== 1)).toEqual([]);
  }, 500_000);
});
