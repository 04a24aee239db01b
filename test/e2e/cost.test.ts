import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { costReply, type CostLine } from '../../contracts/messages/usage.ts';
import { Cluster } from '../support/cluster.ts';
import { runBaton } from '../support/run-baton.ts';
import { SimControl } from '../support/simulator-control.ts';
import { expectNothingLeft } from '../support/leftovers.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
let sim: SimControl;

beforeAll(async () => {
  cluster = await Cluster.start({
    copies: 1,
    backends: ['priced', 'free'],
    config: `
backends:
  # The minimum price of an instance is far more than its hours cost.
  priced: { type: local, root: ROOT/local, prices: { currency: EUR, minimum: 1h, hourly: { '*': { on_demand: 1.5, spot: 0.5 } } } }
  free: { type: local, root: ROOT/local }
groups:
  - { name: linux, organization: acme, labels: [linux], backend: priced, max: 4, runner: { directory: ROOT/runner } }
  - { name: gratis, organization: acme, labels: [gratis], backend: free, max: 4, runner: { directory: ROOT/runner } }
`,
  });
  sim = new SimControl(cluster.sim.address);
});
afterAll(async () => {
  await cluster?.stop();
});

const WORKFLOW = `
name: demo
on: push
jobs:
  build:
    runs-on: linux
    strategy: { matrix: { part: [a, b] } }
    steps: [{ run: 'echo building' }]
  lint:
    runs-on: gratis
    steps: [{ run: 'echo linting' }]
`;

/** What `baton cost` prints. */
async function runCost(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runBaton(cluster, 'observer', ['cost', ...args]);
  if (code !== 0) throw new Error(`baton cost ended with ${code}: ${stderr}`);
  return stdout;
}

async function listCosts(by: string): Promise<CostLine[]> {
  const reply = costReply.parse(JSON.parse(await runCost('--json', '--by', by)));
  if (!reply.ok) throw new Error(reply.message);
  return reply.lines;
}

describe('the cost of instances', () => {
  it(
    'is shown by `baton cost` per group, repository and job, and each instance counts once',
    { timeout: 300_000 },
    async () => {
      expect(await runCost()).toContain('no instance has ended');
      await sim.push(WORKFLOW);
      await until(async () => {
        const jobs = await sim.allJobs();
        expect(jobs.map(({ conclusion }) => conclusion)).toEqual(['success', 'success', 'success']);
      });
      await expectNothingLeft(cluster);
      // A runner signals its dispatcher before it records its use: the record may come later.
      const groups = await until(async () => {
        const lines = await listCosts('group');
        expect(lines.reduce((sum, { instances }) => sum + instances, 0)).toBe(3);
        return lines;
      });
      const linux = groups.find(({ key }) => key === 'linux');
      expect(linux).toMatchObject({ instances: 2, currency: 'EUR', amount: 3, market: null });
      expect(linux?.hours).toBeGreaterThan(0);
      expect(groups.find(({ key }) => key === 'gratis')).toMatchObject({ instances: 1, currency: null, amount: null });
      const repositories = await listCosts('repository');
      expect(repositories.map(({ key, amount }) => `${key} ${amount}`).toSorted()).toEqual([
        'acme/hello 3',
        'acme/hello null',
      ]);
      const jobs = await listCosts('job');
      expect(jobs.map(({ key }) => key).toSorted()).toEqual([
        'acme/hello / demo / build (a)',
        'acme/hello / demo / build (b)',
        'acme/hello / demo / lint',
      ]);
      const text = await runCost('--by', 'backend');
      expect(text).toMatch(/^BACKEND +MARKET +INSTANCES +HOURS +COST\n/);
      expect(text).toMatch(/^priced +2 +0\.0\d +3\.00 EUR$/m);
      expect(text).toMatch(/^free +1 +0\.0\d +no price$/m);
      expect(text).toMatch(/total 3\.00 EUR/);
    },
  );

  it('is the same in the metrics', async () => {
    const text = await (await fetch(`${cluster.getUrl('orchestrator-1')}/metrics`)).text();
    const cost = /^baton_instance_cost_total\{(.*)\} (.*)$/m.exec(text);
    expect(cost?.[1]).toContain('group="linux"');
    expect(cost?.[1]).toContain('repository="acme/hello"');
    expect(Number(cost?.[2])).toBeCloseTo(3, 6);
    expect(text).toMatch(
      /^baton_job_cost_count\{[^}]*group="linux",repository="acme\/hello",currency="EUR"[^}]*\} 2$/m,
    );
    expect(text).toMatch(/^baton_instance_hours_total\{[^}]*group="gratis"[^}]*\} 0\.0\d+$/m);
  });
});
