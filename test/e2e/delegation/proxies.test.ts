import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isDockerAvailable } from '../../support/docker.ts';
import { until } from '../../support/until.ts';
import { startProxy, type TestProxy } from './proxy.ts';
import { LABEL, PROXIES, startDelegationWorld, type DelegationWorld } from './world.ts';

/** Two real proxies, twenty jobs, and containers (process groups if there is no engine). */

const containers = await isDockerAvailable();
let world: DelegationWorld;
let proxies: TestProxy[];

beforeAll(async () => {
  world = await startDelegationWorld({ docker: containers, max: 4 });
  proxies = [];
  for (const name of PROXIES) proxies.push(await startProxy(world, name));
}, 240_000);
afterAll(async () => {
  await Promise.all(proxies?.map((proxy) => proxy.child.stop()) ?? []);
  await world?.cluster.stop();
}, 120_000);

/** A workflow with a matrix, and a job that needs all of its jobs: each level of `needs` takes another attempt. */
const WORKFLOW = `
name: CI
on: push
jobs:
  build:
    runs-on: [self-hosted, ${LABEL}]
    strategy: { fail-fast: false, matrix: { os: [one, two] } }
    steps: [{ run: 'echo ran on $RUNNER_NAME' }]
  publish:
    needs: build
    runs-on: [self-hosted, ${LABEL}]
    steps: [{ run: 'echo ran on $RUNNER_NAME' }]
`;

describe('several proxies', () => {
  it(
    '20 jobs on 2 proxies run exactly once each, on ephemeral runners, and all runs succeed',
    { timeout: 400_000 },
    async () => {
      await world.sim.jobs({ count: 17, labels: [LABEL], run: 'echo ran on $RUNNER_NAME' });
      await world.sim.push(WORKFLOW);
      await until(
        async () => {
          const runs = [...world.cluster.sim.sim.state.runs.values()];
          expect(runs).toHaveLength(18);
          for (const run of runs) {
            const last = run.jobs.filter((job) => job.attempt === run.attempt);
            expect(run.pending).toEqual([]);
            expect(last.map(({ conclusion }) => conclusion)).toEqual(last.map(() => 'success'));
          }
        },
        { timeoutMs: 360_000 },
      );
      const { runs } = world.cluster.sim.sim.state;
      const ran: string[] = [];
      for (const run of runs.values()) {
        // A later attempt also lists the jobs that succeeded before, with their steps, but did not run them.
        const did = new Map<string, string[]>();
        for (const job of run.jobs.filter(({ timeline }) => timeline.some(({ what }) => what === 'started'))) {
          const printed = job.steps.flatMap(({ log }) => log).filter((line) => line.startsWith('ran on '));
          did.set(job.spec.name, [...(did.get(job.spec.name) ?? []), ...printed]);
        }
        for (const [name, printed] of did) {
          expect(printed, `${name} of run ${run.id}`).toHaveLength(1);
          ran.push(...printed);
        }
      }
      expect(ran).toHaveLength(20);
      for (const line of ran) expect(line).toMatch(new RegExp(`^ran on ${world.cluster.installation}-ephemeral-`));

      // The forge shows success a moment before the delegation knows of it.
      const outcomes = await until(
        async () => {
          const found: string[] = [];
          for await (const { status } of world.cluster.client.workflow.list({ query: `WorkflowType = 'delegation'` })) {
            found.push(status.name);
          }
          expect(found.filter((status) => status !== 'COMPLETED')).toEqual([]);
          return found;
        },
        { timeoutMs: 120_000 },
      );
      expect(outcomes.length).toBeGreaterThanOrEqual(2);
      for (const proxy of proxies) {
        expect(await proxy.metric('baton_proxy_breaker_open')).toBe(0);
        expect(await proxy.metric('baton_proxy_uptime_seconds')).toBeGreaterThan(0);
      }
      const handedOver = await Promise.all(
        proxies.map((proxy) => proxy.metric('baton_proxy_hooks_total', 'handed-over')),
      );
      expect(handedOver.reduce((sum, count) => sum + count, 0)).toBe(outcomes.length);
      const [first] = proxies;
      await expectDocumentedMetrics({
        ingress: world.cluster.getUrl('ingress-1'),
        orchestrator: world.cluster.getUrl('orchestrator-1'),
        proxy: first?.url ?? '',
      });
    },
  );
});

/** Checks that each metric in delegation.md is under `/metrics` of its service, and has a value. */
async function expectDocumentedMetrics(urls: Record<string, string>): Promise<void> {
  const text = readFileSync(new URL('../../../deploy/docs/guides/delegation.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| (`baton_[^|]*)\| (\w+) *\|/gm)];
  const documented = rows.flatMap(([, names = '', service = '']) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => ({ name, service })),
  );
  expect(documented.length).toBeGreaterThanOrEqual(9);
  for (const [service, url] of Object.entries(urls)) {
    const served = await (await fetch(`${url}/metrics`)).text();
    for (const { name } of documented.filter((metric) => metric.service === service)) {
      expect(served, `${name} of ${service}`).toMatch(new RegExp(`^${name}(_count)?(\\{.*\\})? \\d`, 'm'));
    }
  }
}
