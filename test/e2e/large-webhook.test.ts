import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Cluster } from '../support/cluster.ts';
import { CLUSTER_TOKEN } from '../support/forge-access.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { SimControl } from '../support/simulator-control.ts';
import { sendWebhook } from '../support/webhook-sender.ts';

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    backends: ['local'],
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

/** The job as GitHub's API shows it, in which it has the same fields as in a webhook. */
async function readJob(id: number): Promise<Record<string, unknown>> {
  const response = await fetch(`${cluster.sim.address}/api/v3/repos/acme/hello/actions/jobs/${id}`, {
    headers: { authorization: `Bearer ${CLUSTER_TOKEN}` },
  });
  return z.record(z.string(), z.unknown()).parse(await response.json());
}

describe('the webhook of a job with very many steps', () => {
  it('is larger than NATS takes, and gets its runner all the same', async () => {
    // Only the webhook below says that the job waits; health checks are 10 minutes apart.
    await sim.faults({ loss: 1, lossIsRecorded: false });
    const [id = 0] = await sim.jobs({ labels: ['linux'], run: 'true' });
    await sim.faults({ loss: 0 });
    const steps = Array.from({ length: 21_000 }, (_, number) => ({ name: 'x'.repeat(1000), status: 'queued', number }));
    const body = JSON.stringify({
      action: 'queued',
      workflow_job: { ...(await readJob(id)), steps },
      repository: { full_name: 'acme/hello', name: 'hello', private: true, owner: { login: 'acme' } },
      organization: { login: 'acme' },
    });
    expect(body.length).toBeGreaterThan(20 * 1024 ** 2);
    const [secret = ''] = cluster.secrets;
    const sent = await sendWebhook(cluster.ingressUrls[0] ?? '', body, { secret });
    expect(sent).toMatchObject({ status: 202, body: { duplicate: false } });
    const [job] = await sim.untilCompleted([id]);
    expect(job).toMatchObject({
      conclusion: 'success',
      runner: expect.stringContaining(`${cluster.installation}-linux-`),
    });
    await expectNothingLeft(cluster);
  });
});
