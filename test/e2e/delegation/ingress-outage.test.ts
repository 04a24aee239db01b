import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProxy, type TestProxy } from './proxy.ts';
import { DelegationView } from './delegation-view.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from './world.ts';
import { until } from '../../support/until.ts';

/** The ingress is away for a full minute, with a proxy that gets jobs all the time. */

const AWAY_MS = 60_000;

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

/** One that the proxy takes; resolves with its annotations when it has failed there. */
async function failedOnProxy(): Promise<string[]> {
  const [job = 0] = await world.sim.jobs({ labels: [LABEL] });
  await until(async () => {
    expect(await world.sim.job(job)).toMatchObject({ status: 'completed', conclusion: 'failure', runner: 'proxy-a' });
  });
  return (world.cluster.sim.sim.state.jobs.get(job)?.annotations ?? []).map(({ message }) => message);
}

describe('delegation while the ingress is down', () => {
  it(
    'jobs fail at once and say why, what was handed over is done, and after it all is as before',
    { timeout: 400_000 },
    async () => {
      const view = new DelegationView(world);
      // Of another group, whose proxy is the test's: the real one is to be free for what comes while the ingress is away.
      const [before = 0] = await world.sim.jobs({ labels: ['other'], run: 'echo really ran' });
      const taken = await world.take(before, 'proxy-o');
      const { id } = await world.delegate(taken, 'proxy-o');
      await until(() => view.handle(id).describe());

      await world.cluster.killService('ingress-1');
      const away = sleep(AWAY_MS);
      await world.sim.complete(before, 'failure');
      const told: string[] = [];
      // Each hook asks three times; after three hooks in a row without an answer the breaker is open, and the next is held back
      // if it comes within half a minute.
      let jobs = 0;
      while (jobs < 5 || (jobs < 20 && (await proxy.metric('baton_proxy_hooks_total', 'held-back')) === 0)) {
        told.push(...(await failedOnProxy()));
        jobs += 1;
      }
      expect(await proxy.metric('baton_proxy_breaker_open')).toBe(1);
      expect(await proxy.metric('baton_proxy_connection_failures_total')).toBeGreaterThanOrEqual(3);
      expect(await proxy.metric('baton_proxy_hooks_total', 'failed')).toBe(jobs);
      const reasons = told.filter((text) => text.startsWith('This job was not handed over'));
      expect(reasons).toHaveLength(jobs);
      for (const text of reasons)
        expect(text).toMatch(/Run it again when the orchestrator is back; nothing of it ran\.$/);
      expect(reasons.join('\n'), 'one was held back').toContain('not handed over: the orchestrator is away');
      // No webhook comes: the forge is asked.
      expect(await view.result(id)).toMatchObject({ conclusion: 'success' });
      expect((await world.findAttempts(taken.runId)).map(({ conclusion }) => conclusion)).toEqual([
        'failure',
        'success',
      ]);
      await away;
      await world.cluster.restartService('ingress-1');
      // The breaker lets a hook ask again half a minute after it opened.
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
