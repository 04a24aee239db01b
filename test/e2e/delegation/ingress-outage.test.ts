import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProxy, type TestProxy } from './proxy.ts';
import { DelegationView } from './delegation-view.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from './world.ts';
import { until } from '../../support/until.ts';

/** The ingress is down for a full minute, with a proxy that gets jobs all the time. */

const OUTAGE_MS = 60_000;

let world: DelegationWorld;
let proxy: TestProxy;

beforeAll(async () => {
  world = await startDelegationWorld({
    besides: {
      groups: `
- name: other
  organization: acme
  labels: [other, ephemeral, container]
  backend: local
  runner: { directory: ROOT/runner }`,
      proxies: '  - { names: [proxy-o], labels: [other], group: other }',
    },
  });
  proxy = await startProxy(world, 'proxy-a');
}, 240_000);
afterAll(async () => {
  await proxy?.child.stop();
  await world?.cluster.stop();
}, 120_000);

/** Creates a job that the proxy takes. Resolves with its annotations when it has failed there. */
async function failOnProxy(): Promise<string[]> {
  const [job = 0] = await world.sim.jobs({ labels: [LABEL] });
  await until(async () => {
    expect(await world.sim.job(job)).toMatchObject({ status: 'completed', conclusion: 'failure', runner: 'proxy-a' });
  });
  return (world.cluster.sim.sim.state.jobs.get(job)?.annotations ?? []).map(({ message }) => message);
}

describe('delegation while the ingress is down', () => {
  it(
    'new jobs fail at once with the reason, a job that was handed over before still runs, and later jobs are handed over again',
    { timeout: 400_000 },
    async () => {
      const view = new DelegationView(world);
      // A job of another group, whose proxy the test plays: the real proxy must be free for the jobs during the outage.
      const [before = 0] = await world.sim.jobs({ labels: ['other'], run: 'echo really ran' });
      const taken = await world.take(before, 'proxy-o');
      const { id } = await world.delegate(taken, 'proxy-o');
      await until(() => view.handle(id).describe());

      await world.cluster.killService('ingress-1');
      const outage = sleep(OUTAGE_MS);
      await world.sim.complete(before, 'failure');
      const annotations: string[] = [];
      // Each hook sends its request three times. After three hooks in a row without an answer the breaker opens, and
      // further hooks are held back for half a minute.
      let jobs = 0;
      while (jobs < 5 || (jobs < 20 && (await proxy.metric('baton_proxy_hooks_total', 'held-back')) === 0)) {
        annotations.push(...(await failOnProxy()));
        jobs += 1;
      }
      expect(await proxy.metric('baton_proxy_breaker_open')).toBe(1);
      expect(await proxy.metric('baton_proxy_connection_failures_total')).toBeGreaterThanOrEqual(3);
      expect(await proxy.metric('baton_proxy_hooks_total', 'failed')).toBe(jobs);
      const reasons = annotations.filter((text) => text.startsWith('This job was not handed over'));
      expect(reasons).toHaveLength(jobs);
      for (const text of reasons)
        expect(text).toMatch(/None of its steps ran\. Re-run it when the orchestrator can be reached again\.$/);
      expect(reasons.join('\n'), 'one was held back').toContain(
        'not handed over to an ephemeral runner: the orchestrator did not answer the last requests, so none was sent',
      );
      // No webhook arrives: Baton asks the forge.
      expect(await view.result(id)).toMatchObject({ conclusion: 'success' });
      expect((await world.findAttempts(taken.runId)).map(({ conclusion }) => conclusion)).toEqual([
        'failure',
        'success',
      ]);
      await outage;
      await world.cluster.restartService('ingress-1');
      // The breaker lets a hook try again half a minute after it opened.
      const runId = await until(async () => {
        const [job = 0] = await world.sim.jobs({ labels: [LABEL], run: 'echo really ran' });
        const run = (await world.sim.job(job)).runId;
        await world.sim.untilCompleted([job]);
        expect(await proxy.metric('baton_proxy_hooks_total', 'handed-over')).toBe(1);
        return run;
      });
      await until(async () => {
        const attempts = await world.findAttempts(runId);
        expect(attempts.map(({ conclusion }) => conclusion)).toEqual(['failure', 'success']);
      });
      expect(await proxy.metric('baton_proxy_breaker_open')).toBe(0);
    },
  );
});
