import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killInstances } from '../../support/instances.ts';
import { until } from '../../support/until.ts';
import { startProxy, type TestProxy } from './proxy.ts';
import { DelegationView } from './delegation-view.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from './world.ts';

/** What goes wrong with a delegation, and the end that it then has: each can be read off its workflow alone. */

let world: DelegationWorld;
let view: DelegationView;
const proxies: TestProxy[] = [];
beforeAll(async () => {
  world = await startDelegationWorld({
    delegation: '  wait_for_runner: 25s',
    simulator: { timing: { sweepMs: 50, lostMs: 12_000 } },
    besides: {
      groups: `
- name: broken
  organization: acme
  labels: [hopeless, ephemeral, container]
  backend: local
  runner: { directory: ROOT/nowhere }`,
      proxies: '  - { names: [proxy-x], labels: [hopeless], group: broken }',
    },
  });
  view = new DelegationView(world);
}, 180_000);
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.child.stop()));
  await world?.cluster.stop();
}, 120_000);

const LONG = { timeout: 180_000 };
async function takenBy(proxy: string, order: { labels?: string[]; run?: string } = {}) {
  const [job = 0] = await world.sim.jobs({ labels: [LABEL], ...order });
  return await world.take(job, proxy);
}

describe('delegation with faults', () => {
  it('an answer to the re-run that is lost does not run the job twice', LONG, async () => {
    await world.sim.apiFault({ method: 'POST', path: '/rerun', fault: 'lost', count: 1 });
    const taken = await takenBy('proxy-a');
    expect(await view.result(await world.handOver(taken, 'proxy-a'))).toMatchObject({ conclusion: 'success' });
    expect((await world.findAttempts(taken.runId)).map(({ conclusion }) => conclusion)).toEqual(['failure', 'success']);
  });

  it('webhooks that are lost only cost time', LONG, async () => {
    await world.sim.faults({ loss: 1 });
    try {
      const taken = await takenBy('proxy-a');
      const id = await world.handOver(taken, 'proxy-a');
      await until(async () => {
        const [, again] = await world.findAttempts(taken.runId);
        expect(again).toMatchObject({ conclusion: 'success' });
      });
      expect(await view.result(id)).toMatchObject({ conclusion: 'success' });
    } finally {
      await world.sim.faults({ loss: 0 });
    }
  });

  it('NATS and Temporal are killed and come back: the job is done once', LONG, async () => {
    const taken = await takenBy('proxy-b');
    const { id } = await world.delegate(taken, 'proxy-b');
    const nats = await world.cluster.haltNats();
    const temporal = await world.cluster.haltTemporal();
    await world.sim.complete(taken.id, 'failure');
    await nats.resume();
    await temporal.resume();
    await until(async () => {
      const [, again] = await world.findAttempts(taken.runId);
      expect(again).toMatchObject({ conclusion: 'success' });
    });
    await until(async () => expect(await world.get(id, 'proxy-b')).toMatchObject({ status: 'completed' }));
    expect(await world.findAttempts(taken.runId)).toHaveLength(2);
  });

  it(
    'the ephemeral runner dies in the middle of the job: failed, as the forge says, and not run again',
    LONG,
    async () => {
      const taken = await takenBy('proxy-a', { run: 'echo begun; sleep 300' });
      const id = await world.handOver(taken, 'proxy-a');
      await until(async () => expect(await world.get(id, 'proxy-a')).toMatchObject({ status: 'running' }));
      killInstances(world.cluster.dir);
      expect(await view.result(id)).toMatchObject({ status: 'failed', conclusion: 'failure' });
      expect(await view.headline(id)).toMatch(/failed: ran on \S+: failure/);
      expect(await world.findAttempts(taken.runId)).toHaveLength(2);
    },
  );

  it(
    'a proxy that hangs after its hand-over: it says what it waits for, and goes on when the attempt is over',
    LONG,
    async () => {
      const taken = await takenBy('proxy-a');
      const { id } = await world.delegate(taken, 'proxy-a');
      await until(async () => {
        expect(await view.headline(id)).toContain(
          'queued: its attempt is still on proxy-a: its hook hangs, or the proxy was killed',
        );
      });
      await world.sim.complete(taken.id, 'failure');
      expect(await view.result(id)).toMatchObject({ conclusion: 'success' });
    },
  );

  it('runners that never come up: it waits, then fails and says why', LONG, async () => {
    const taken = await takenBy('proxy-x', { labels: ['hopeless'] });
    const id = await world.handOver(taken, 'proxy-x');
    const failure = await view.failure(id);
    expect(failure).toMatch(
      /^no ephemeral runner came up within 25s: runner\/broken\/.* failed: .*\(starting \.\/run\.sh in .*ENOENT\)$/,
    );
    expect(await world.findAttempts(taken.runId)).toHaveLength(1);
    await until(async () => expect(await world.cluster.dispatcher('broken')).toMatchObject({ waiting: 0 }));
  });

  it(
    'a proxy that is killed is missed by the forge; its job is done all the same, and the next proxy takes its place',
    LONG,
    async () => {
      const first = await startProxy(world, 'proxy-a');
      proxies.push(first);
      const [job = 0] = await world.sim.jobs({ labels: [LABEL] });
      const id = await until(async () => {
        const response = await world.request('GET', '/api/jobs?repository=acme/hello&status=queued', 'proxy-a');
        const found = /"id":"(d-[0-9a-f]{24})"/.exec(await response.text())?.[1];
        if (found === undefined) throw new Error('not handed over yet');
        return found;
      });
      await first.child.kill();
      const second = await startProxy(world, 'proxy-a');
      proxies.push(second);
      expect(await view.result(id)).toMatchObject({ conclusion: 'success' });
      const { runId } = await world.sim.job(job);
      expect((await world.findAttempts(runId)).map(({ conclusion }) => conclusion)).toEqual(['failure', 'success']);
    },
  );

  it('SIGTERM: a proxy finishes what it has in hand and ends with 0', LONG, async () => {
    const proxy = proxies.at(-1);
    expect(await proxy?.child.stop()).toMatchObject({ code: 0 });
    expect(proxy?.log()).toContain('"msg":"stopped"');
  });

  // The last: it leaves a runner that waits for a job, and would take the next test's.
  it('the forge refuses the re-run: its own words, and the job is not run again', LONG, async () => {
    await world.sim.apiFault({ method: 'POST', path: '/rerun', fault: 'status', status: 403, count: 1 });
    const taken = await takenBy('proxy-a');
    const id = await world.handOver(taken, 'proxy-a');
    const failure = await view.failure(id);
    expect(failure).toMatch(/running job \d+ of acme\/hello again: POST .*rerun answered 403/);
    expect(failure).toContain('the job was not run again');
    expect(await world.findAttempts(taken.runId)).toHaveLength(1);
    await until(async () =>
      expect(await world.get(id, 'proxy-a')).toMatchObject({ status: 'failed', detail: failure }),
    );
  });
});
