import { WorkflowFailedError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createSignaller, type Signaller } from '../../../activities/signals/signaller.ts';
import { proxiesWorkflowId, type ProxiesSettings } from '../../../contracts/workflows/delegation.ts';
import { registerRunner, removeRunner } from '../../../services/simulator/jobs/runners.ts';
import type { Runner } from '../../../services/simulator/state.ts';
import { listDocumentedFailures } from '../../contract/forge/description.ts';
import { until } from '../../support/until.ts';
import { DelegationView, readDetails } from './delegation-view.ts';
import { LABEL, PROXIES, startDelegationWorld, type DelegationWorld } from './world.ts';

/** The labels of proxies that step aside and come back, while the forge refuses or fails the calls for one of them. */

const DELEGATION = 'd-held';
const ASIDE = ['stepped-aside'];
const LONG = { timeout: 180_000 };

let world: DelegationWorld;
let signaller: Signaller;
beforeAll(async () => {
  world = await startDelegationWorld({ delegation: '  wait_for_runner: 15s' });
  for (const name of PROXIES) addProxy(name, [LABEL]);
  signaller = createSignaller(world.cluster.client);
}, 180_000);
afterAll(() => world?.cluster.stop());
afterEach(() => world.sim.clearApiFaults());

/** Registers two proxies of a group that no other test has. The first is the one with the problem. */
function addProxies(group: string): ProxiesSettings {
  const names = [`${group}-odd`, `${group}-even`];
  for (const name of names) addProxy(name, [group]);
  return { group, scope: { organization: 'acme' }, names, labels: [group], asOf: new Date().toISOString() };
}

function addProxy(name: string, labels: string[]): Runner {
  const { sim } = world.cluster.sim;
  const account = sim.state.accounts.get('acme');
  const group = account?.groups.get(1);
  if (account === undefined || group === undefined) throw new Error('the simulator has no organization acme');
  return registerRunner(sim, {
    name,
    scope: { account, repository: null },
    group,
    labels: ['self-hosted', ...labels],
    ephemeral: false,
  });
}

function findProxy(name: string): Runner {
  const found = [...world.cluster.sim.sim.state.runners.values()].find((runner) => runner.name === name);
  if (found === undefined) throw new Error(`${name} is not registered`);
  return found;
}

const readLabels = (name = ''): string[] => findProxy(name).labels.filter((label) => label !== 'self-hosted');

async function signal(settings: ProxiesSettings, type: 'hold' | 'release'): Promise<void> {
  await signaller.signalProxies(settings, [{ type, delegation: DELEGATION }]);
}

/** Lets the call fail for that proxy, until all faults are cleared. */
async function failCalls(method: 'GET' | 'PUT', proxy: string, status: number): Promise<void> {
  const path =
    method === 'GET' ? `/orgs/acme/actions/runners?name=${proxy}&` : `/runners/${findProxy(proxy).id}/labels`;
  await world.sim.apiFault({ method, path, fault: 'status', status, forMs: 600_000 });
}

/** How often the forge was called with that method and a path that matches, since then. */
async function countCalls(method: string, path: RegExp, since = 0): Promise<number> {
  const calls = await world.sim.log('api.call');
  return calls.filter((call) => call.seq > since && call['method'] === method && path.test(String(call['path'])))
    .length;
}

const countLabelCalls = (since: number): Promise<number> => countCalls('PUT', /\/labels$/, since);

/** Waits for that attempt of a run's job, counted from 1. */
async function waitForAttempt(run: number, attempt: number): Promise<number> {
  return await until(async () => {
    const found = (await world.findAttempts(run))[attempt - 1];
    if (found === undefined) throw new Error(`run ${run} has no attempt ${attempt} yet`);
    return found.id;
  });
}

const details = (group: string): Promise<string> => readDetails(world.cluster.client, proxiesWorkflowId(group));

/**
 * What GitHub documents, and what it answers to any call. A limit holds for all calls of an App, and so does an outage soon: the
 * scheduler's tests have them.
 */
const REFUSALS = [401, 403, 404, 422];
const OUTAGE = 502;
const CASES = (['GET', 'PUT'] as const).flatMap((method) =>
  [...REFUSALS, ...(method === 'PUT' ? [OUTAGE] : [])].map((status) => ({
    method,
    status,
    group: `${method.toLowerCase()}-${status}`,
  })),
);

describe('the labels of proxies', () => {
  it('the table below has every status that GitHub documents for a runner’s labels', () => {
    const documented = listDocumentedFailures('put', '/orgs/{org}/actions/runners/{runner_id}/labels');
    expect(documented).toEqual(expect.arrayContaining([404, 422]));
    expect(REFUSALS).toEqual(expect.arrayContaining(documented));
  });

  it(
    'each proxy steps aside and comes back by itself, whatever the forge answers for another one, as soon as it can',
    LONG,
    async () => {
      const cases = CASES.map((row) => ({ ...row, settings: addProxies(row.group) }));
      const failAll = (): Promise<unknown> =>
        Promise.all(cases.map(({ method, group, status }) => failCalls(method, `${group}-odd`, status)));
      const expectEach = async (which: 'odd' | 'even', toExpected: (group: string) => string[]): Promise<void> => {
        await until(() => {
          const labels = cases.map(({ group }) => [group, readLabels(`${group}-${which}`)]);
          expect(labels).toEqual(cases.map(({ group }) => [group, toExpected(group)]));
        });
      };
      const expectShown = async (): Promise<void> => {
        for (const { group, status } of cases) {
          await until(async () => expect(await details(group)).toMatch(new RegExp(`${group}-odd.*answered ${status}`)));
        }
      };

      await failAll();
      await Promise.all(cases.map(({ settings }) => signal(settings, 'hold')));
      await expectEach('even', () => ASIDE);
      await expectShown();
      await expectEach('odd', (group) => [group]);
      await world.sim.clearApiFaults();
      await expectEach('odd', () => ASIDE);

      await failAll();
      await Promise.all(cases.map(({ settings }) => signal(settings, 'release')));
      await expectEach('even', (group) => [group]);
      await expectShown();
      await expectEach('odd', () => ASIDE);
      await world.sim.clearApiFaults();
      await expectEach('odd', (group) => [group]);
      for (const { group } of cases) await world.cluster.client.workflow.getHandle(proxiesWorkflowId(group)).result();
    },
  );

  it(
    'a proxy that registers again while its labels are put back does not keep them from the others',
    LONG,
    async () => {
      const settings = addProxies('again');
      const [odd = '', even = ''] = settings.names;
      await signal(settings, 'hold');
      await until(() => expect([readLabels(odd), readLabels(even)]).toEqual([ASIDE, ASIDE]));
      // Its id has changed between the look-up and the change.
      await failCalls('PUT', odd, 404);
      await signal(settings, 'release');
      await until(() => expect(readLabels(even)).toEqual(['again']));
      removeRunner(world.cluster.sim.sim, findProxy(odd), 'api');
      addProxy(odd, ASIDE);
      await until(() => expect(readLabels(odd)).toEqual(['again']));
      await world.cluster.client.workflow.getHandle(proxiesWorkflowId('again')).result();
    },
  );

  it('proxies whose workflow is cancelled get their labels back first', LONG, async () => {
    const settings = addProxies('cancelled');
    const [odd = '', even = ''] = settings.names;
    await signal(settings, 'hold');
    await until(() => expect([readLabels(odd), readLabels(even)]).toEqual([ASIDE, ASIDE]));
    const handle = world.cluster.client.workflow.getHandle(proxiesWorkflowId('cancelled'));
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow(WorkflowFailedError);
    expect([readLabels(odd), readLabels(even)]).toEqual([['cancelled'], ['cancelled']]);
  });

  it(
    'stay as they are while a re-run waits for its run’s other jobs, and no runner idles for it; both come when the run is over',
    LONG,
    async () => {
      const step = 'steps: [{ run: echo ran }]';
      const run = await world.sim.push(
        `jobs:\n  quick: { runs-on: [self-hosted, ${LABEL}], ${step} }\n  slow: { runs-on: [self-hosted, unserved], ${step} }`,
      );
      const jobs = await until(async () => {
        const found = await world.findAttempts(run);
        expect(found).toHaveLength(2);
        return found;
      });
      const [quick = 0, slow = 0] = ['quick', 'slow'].map((key) => jobs.find((job) => job.key === key)?.id);
      await world.sim.start(slow, 'hosted-1');
      const since = (await world.sim.log()).at(-1)?.seq ?? 0;
      const id = await world.handOver(await world.take(quick, 'proxy-a'), 'proxy-a');
      await until(async () => expect(await world.cluster.dispatcher('ephemeral')).toMatchObject({ waiting: 1 }));
      await until(async () =>
        expect((await world.get(id, 'proxy-a')).detail).toContain('requested an ephemeral runner'),
      );
      const view = new DelegationView(world);
      await until(async () => expect(await view.headline(id)).toContain('other jobs of its run are still running'));
      // It was asked often, and for longer than a runner may be idle for it.
      await until(async () => expect(await world.cluster.dispatcher('ephemeral')).toMatchObject({ waiting: 0 }));
      const asked = new RegExp(`/actions/runs/${run}$`);
      await until(async () => expect(await countCalls('GET', asked, since)).toBeGreaterThanOrEqual(4));
      expect(await countLabelCalls(since)).toBe(0);

      await world.sim.complete(slow);
      expect(await view.result(id)).toMatchObject({ conclusion: 'success' });
      await until(() => expect(PROXIES.map((name) => readLabels(name))).toEqual([[LABEL], [LABEL]]));
      expect(await countLabelCalls(since), 'each proxy stepped aside and came back once').toBe(4);
    },
  );

  // The last one: it leaves a runner that waits for a job, and would take that of another test.
  it(
    'a proxy that takes a re-run because it registered again steps aside before the job is run once more',
    LONG,
    async () => {
      const [job = 0] = await world.sim.jobs({ labels: ['unserved'] });
      const taken = await world.take(job, 'proxy-a');
      const id = await world.handOver(taken, 'proxy-a');
      const second = await waitForAttempt(taken.runId, 2);
      expect(PROXIES.map((name) => readLabels(name))).toEqual([ASIDE, ASIDE]);
      removeRunner(world.cluster.sim.sim, findProxy('proxy-b'), 'api');
      addProxy('proxy-b', [LABEL]);
      await world.handOver(await world.take(second, 'proxy-b'), 'proxy-b', 2);
      const third = await waitForAttempt(taken.runId, 3);
      expect(PROXIES.map((name) => readLabels(name))).toEqual([ASIDE, ASIDE]);
      await world.sim.start(third, `${world.cluster.installation}-ephemeral-00000000`);
      await world.sim.complete(third);
      expect(await new DelegationView(world).result(id)).toMatchObject({ conclusion: 'success' });
      await until(() => expect(PROXIES.map((name) => readLabels(name))).toEqual([[LABEL], [LABEL]]));
    },
  );
});
