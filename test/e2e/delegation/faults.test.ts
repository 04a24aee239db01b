import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killInstances } from '../../support/instances.ts';
import { until } from '../../support/until.ts';
import { startProxy, type TestProxy } from './proxy.ts';
import { DelegationView } from './delegation-view.ts';
import { LABEL, startDelegationWorld, type DelegationWorld } from './world.ts';

/** Faults during a delegation, and how it ends then. Its workflow alone shows each of them. */

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
  labels: [unstartable, ephemeral, container]
  backend: local
  runner: { directory: ROOT/nowhere }`,
      proxies: '  - { names: [proxy-x], labels: [unstartable], group: broken }',
    },
  });
  view = new DelegationView(world);
}, 180_000);
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.child.stop()));
  await world?.cluster.stop();
}, 120_000);

const LONG = { timeout: 180_000 };
async function takeJob(proxy: string, job: { labels?: string[]; run?: string } = {}) {
  const [id = 0] = await world.sim.jobs({ labels: [LABEL], ...job });
  return await world.take(id, proxy);
}

describe('delegation with faults', () => {
  it('a lost answer to the re-run does not run the job twice', LONG, async () => {
    await world.sim.apiFault({ method: 'POST', path: '/rerun', fault: 'lost', count: 1 });
    const taken = await takeJob('proxy-a');
    expect(await view.result(await world.handOver(taken, 'proxy-a'))).toMatchObject({ conclusion: 'success' });
    expect((await world.findAttempts(taken.runId)).map(({ conclusion }) => conclusion)).toEqual(['failure', 'success']);
  });

  it('lost webhooks only cost time', LONG, async () => {
    await world.sim.faults({ loss: 1 });
    try {
      const taken = await takeJob('proxy-a');
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

  it('the job runs once when NATS and Temporal are killed and restarted', LONG, async () => {
    const taken = await takeJob('proxy-b');
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
    'a delegation whose ephemeral runner dies during the job fails with the forge’s conclusion, and the job is not run again',
    LONG,
    async () => {
      const taken = await takeJob('proxy-a', { run: 'echo begun; sleep 300' });
      const id = await world.handOver(taken, 'proxy-a');
      await until(async () => expect(await world.get(id, 'proxy-a')).toMatchObject({ status: 'running' }));
      await killInstances(world.cluster.dir);
      expect(await view.result(id)).toMatchObject({ status: 'failed', conclusion: 'failure' });
      expect(await view.headline(id)).toMatch(/failed: ran on \S+: failure/);
      expect(await world.findAttempts(taken.runId)).toHaveLength(2);
    },
  );

  it(
    'a delegation whose proxy hangs after the hand-over shows what it waits for, and continues when the attempt has ended',
    LONG,
    async () => {
      const taken = await takeJob('proxy-a');
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

  it('a delegation whose runners never start waits, then fails with the reason', LONG, async () => {
    const taken = await takeJob('proxy-x', { labels: ['unstartable'] });
    const id = await world.handOver(taken, 'proxy-x');
    const failure = await view.failure(id);
    expect(failure).toMatch(
      /^no ephemeral runner came up within 25s: runner\/broken\/.* failed: .*\(starting \.\/run\.sh in .*ENOENT\)$/,
    );
    expect(await world.findAttempts(taken.runId)).toHaveLength(1);
    await until(async () => expect(await world.cluster.dispatcher('broken')).toMatchObject({ waiting: 0 }));
  });

  it('the job of a killed proxy still runs, and the next proxy replaces it', LONG, async () => {
    const first = await startProxy(world, 'proxy-a');
    proxies.push(first);
    const listDelegations = async (): Promise<string[]> => {
      const response = await world.request('GET', '/api/jobs?repository=acme/hello', 'proxy-a');
      return [...(await response.text()).matchAll(/"id":"(d-[0-9a-f]{24})"/g)].map(([, found = '']) => found);
    };
    const earlier = await listDelegations();
    const [job = 0] = await world.sim.jobs({ labels: [LABEL] });
    const id = await until(async () => {
      const found = (await listDelegations()).find((one) => !earlier.includes(one));
      if (found === undefined) throw new Error('not handed over yet');
      return found;
    });
    await first.child.kill();
    const second = await startProxy(world, 'proxy-a');
    proxies.push(second);
    expect(await view.result(id)).toMatchObject({ conclusion: 'success' });
    const { runId } = await world.sim.job(job);
    expect((await world.findAttempts(runId)).map(({ conclusion }) => conclusion)).toEqual(['failure', 'success']);
  });

  it('a proxy ends with 0 at SIGTERM', LONG, async () => {
    const proxy = proxies.at(-1);
    expect(await proxy?.child.stop()).toMatchObject({ code: 0 });
    expect(proxy?.log()).toContain('"msg":"proxy stopped"');
  });

  it('a delegation whose job the forge does not show for a while says so, and goes on when it does', LONG, async () => {
    const taken = await takeJob('proxy-a');
    const hideRun = (status: number): Promise<void> =>
      world.sim.apiFault({
        method: 'GET',
        path: `/actions/runs/${taken.runId}`,
        fault: 'status',
        status,
        forMs: 600_000,
      });
    await hideRun(404);
    const { id } = await world.delegate(taken, 'proxy-a');
    await until(async () => expect(await view.headline(id)).toMatch(/queued: asking again later: .* answered 404/));
    await world.sim.clearApiFaults();
    await until(async () => expect(await world.get(id, 'proxy-a')).toMatchObject({ forgeJobId: taken.id }));
    await hideRun(403);
    await world.sim.complete(taken.id, 'failure');
    await until(async () => expect(await view.headline(id)).toMatch(/queued: asking again later: .* answered 403/));
    await world.sim.clearApiFaults();
    expect(await view.result(id)).toMatchObject({ conclusion: 'success' });
    expect(await world.findAttempts(taken.runId)).toHaveLength(2);
  });

  // This is the last test: it leaves a runner that waits for a job, and would take the job of the next test.
  it(
    'a delegation whose re-run the forge refuses fails with the forge’s message, and the job is not run again',
    LONG,
    async () => {
      await world.sim.apiFault({ method: 'POST', path: '/rerun', fault: 'status', status: 403, count: 1 });
      const taken = await takeJob('proxy-a');
      const id = await world.handOver(taken, 'proxy-a');
      const failure = await view.failure(id);
      expect(failure).toMatch(/running job \d+ of acme\/hello again: POST .*rerun answered 403/);
      expect(failure).toContain('the job was not run again');
      expect(await world.findAttempts(taken.runId)).toHaveLength(1);
      await until(async () =>
        expect(await world.get(id, 'proxy-a')).toMatchObject({ status: 'failed', detail: failure }),
      );
    },
  );
});
