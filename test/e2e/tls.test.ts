import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectBus } from '../../contracts/lib/nats.ts';
import { Cluster } from '../support/cluster.ts';
import { SimControl } from '../support/simulator-control.ts';
import { expectNothingLeft } from '../support/leftovers.ts';

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    backends: ['local'],
    copies: 1,
    tls: true,
    simulator: { timing: { sweepMs: 50 } },
    config: `
backends:
  local: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: local, max: 2, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

describe('TLS to NATS', () => {
  it('runs a job when NATS’s certificate is signed only by the configured authority, also in the instance', async () => {
    const [job] = await sim.untilCompleted(await sim.jobs({ labels: ['linux'], run: 'true' }), 120_000);
    expect(job).toMatchObject({ conclusion: 'success' });
    await expectNothingLeft(cluster);
  });

  it('refuses a server whose authority is unknown or whose name differs from the certificate', async () => {
    const common = { name: 'test', credentialsFile: cluster.operator.credentials.observer, waitForServer: false };
    const { url } = cluster.nats;
    const tls = { ca: join(cluster.dir, 'nats', 'tls.crt') };
    const bus = await connectBus({ ...common, url, tls });
    await bus.close();
    await expect(connectBus({ ...common, url })).rejects.toThrow(/self-signed certificate/);
    const other = url.replace('localhost', '127.0.0.1');
    await expect(connectBus({ ...common, url: other, tls })).rejects.toThrow(/127\.0\.0\.1/);
  });
});
