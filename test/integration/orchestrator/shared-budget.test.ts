import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Registry } from 'prom-client';
import { createGithubClient, type GithubClient } from '../../../activities/forges/github/client.ts';
import { Github } from '../../../activities/forges/github/github.ts';
import { GithubApps } from '../../../activities/forges/github/apps.ts';
import { GithubAppsRuns } from '../../../activities/forges/github/apps-runs.ts';
import { GithubRuns } from '../../../activities/forges/github/runs.ts';
import { connectBus, type Bus } from '../../../contracts/lib/nats.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { Budgets } from '../../../services/orchestrator/rate-limit/budgets.ts';
import type { KeyValueBudget } from '../../../services/orchestrator/rate-limit/shared-budget.ts';
import { fingerprintToken } from '../../../services/simulator/api/routes.ts';
import { TestBench } from '../../support/simulator.ts';
import { startNats, type TestNats } from '../../support/nats.ts';

/** The budgets of several orchestrators in one bucket of a real NATS, and the simulator's own limits. */
const log = createLogger('test', 'silent');
const buses: Bus[] = [];
let nats: TestNats;
let bench: TestBench;

beforeAll(async () => {
  nats = await startNats();
  bench = await TestBench.start({ tokens: ['ghp_one', 'ghp_two'] });
});
afterAll(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await bench?.dispose();
  await nats?.stop();
});

/** The budgets of one more orchestrator. */
async function openBudgets(): Promise<Budgets> {
  const bus = await connectBus({ url: nats.address, name: 'test' });
  buses.push(bus);
  return await Budgets.open(bus, new Registry(), log);
}

function createClient(token: string, budget: KeyValueBudget): GithubClient {
  return createGithubClient({ url: bench.simulator.address, auth: { token }, budget, log });
}

const createGithub = (token: string, budget: KeyValueBudget): Github => new Github(createClient(token, budget));

const call = { cost: 5, urgency: 'registration' } as const;
const ORDER = { scope: { organization: 'octo-org', repository: 'demo' }, group: 'g', access: { allowPublic: true } };

describe('the shared rate-limit budget', () => {
  it('is spent once, although two orchestrators spend it together', async () => {
    const all = await Promise.all([openBudgets(), openBudgets()]);
    // 300 points at once are 60 calls; points for another call come back every half second. The key is new: its budget is full.
    const key = `shared-${randomUUID()}`;
    const budgets = all.map((one) => one.create(key, 900));
    const startedAt = Date.now();
    // So many that an orchestrator that always comes second would give up several times, and count alone.
    const waits = await Promise.all(
      Array.from({ length: 400 }, (_, index) => budgets[index % 2]?.take(call, 0) ?? Promise.resolve(0)),
    );
    const sent = waits.filter((wait) => wait === 0).length;
    const refilled = Math.ceil((Date.now() - startedAt) / 500);
    expect(sent).toBeGreaterThanOrEqual(60);
    expect(sent).toBeLessThanOrEqual(60 + refilled);
  });

  it('carries a limit that the forge reports to one orchestrator over to the other', async () => {
    const [one, two] = await Promise.all([openBudgets(), openBudgets()]);
    const budgets = [one.create('limited', 0), two.create('limited', 0)] as const;
    const before = { ...bench.sim.limits };
    Object.assign(bench.sim.limits, { secondaryPoints: 1, retryAfterSeconds: 300, secondaryForm: '429' });
    await expect(createGithub('ghp_one', budgets[0]).listRegistrations(ORDER)).resolves.toEqual([]);
    const refused = createGithub('ghp_one', budgets[0]).listRegistrations(ORDER);
    await expect(refused).rejects.toMatchObject({ code: 'FORGE_RATE_LIMITED' });
    Object.assign(bench.sim.limits, before);
    bench.sim.limiter.reset();
    await expect.poll(() => budgets[1].take({ cost: 1, urgency: 'background' }, 0)).toBeGreaterThan(200_000);
    const calls = bench.log.since(0, 'api.call').length;
    await expect(createGithub('ghp_one', budgets[1]).listRegistrations(ORDER)).rejects.toMatchObject({
      code: 'FORGE_RATE_LIMITED',
    });
    expect(bench.log.since(0, 'api.call')).toHaveLength(calls);
    for (const view of [...one.limits(), ...two.limits()]) expect(view.blockedUntil).not.toBeNull();
  });

  it('is counted by each orchestrator for itself without NATS', async () => {
    const budgets = await openBudgets();
    const budget = budgets.create('alone', 900);
    expect(await budget.take(call, 0)).toBe(0);
    await buses.at(-1)?.close();
    expect(await budget.take(call, 0)).toBe(0);
  });

  it('spreads calls over several Apps, and leaves out an App that has reached its limit', async () => {
    const budgets = await openBudgets();
    const [one, two] = [budgets.create('app-1', 0), budgets.create('app-2', 0)];
    const apps = new GithubApps([
      { forge: createGithub('ghp_one', one), room: () => one.getRemainingShare() },
      { forge: createGithub('ghp_two', two), room: () => two.getRemainingShare() },
    ]);
    const used = async (count: number, ask: () => Promise<unknown>): Promise<Set<unknown>> => {
      const before = bench.log.since().length;
      for (let index = 0; index < count; index++) await ask();
      return new Set(bench.log.since(before, 'api.call').map((event) => event['by']));
    };
    const runs = new GithubAppsRuns([
      { runs: new GithubRuns(createClient('ghp_one', one)), room: () => one.getRemainingShare() },
      { runs: new GithubRuns(createClient('ghp_two', two)), room: () => two.getRemainingShare() },
    ]);
    const asks = [
      () => apps.listRegistrations(ORDER),
      () => runs.replaceRunnerLabels(ORDER.scope, 'no-such-runner', ['team']),
    ];
    for (const ask of asks) expect(await used(4, ask)).toEqual(new Set(['ghp_one', 'ghp_two'].map(fingerprintToken)));
    one.observe({ status: 403, limit: 10, remaining: 0, resetAt: Date.now() + 600_000, retryAfterSeconds: undefined });
    for (const ask of asks) expect(await used(4, ask)).toEqual(new Set([fingerprintToken('ghp_two')]));
  });

  it('counts the calls of delegations against the App of their organisation', async () => {
    const budgets = await openBudgets();
    const [other, own] = [budgets.create('other-org', 900), budgets.create('own-org', 900)];
    const runs = new GithubAppsRuns([
      {
        organization: 'other',
        runs: new GithubRuns(createClient('ghp_one', other)),
        room: () => other.getRemainingShare(),
      },
      {
        organization: 'Octo-Org',
        runs: new GithubRuns(createClient('ghp_two', own)),
        room: () => own.getRemainingShare(),
      },
    ]);
    const before = bench.log.since().length;
    await expect(runs.rerunJob('octo-org/demo', 4711)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    await expect(runs.getLatestAttempt('octo-org/demo', 4711)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    await expect(runs.listAttemptJobs('octo-org/demo', 4711, 1)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    const calls = bench.log.since(before, 'api.call');
    expect(calls.map((event) => event['by'])).toEqual(calls.map(() => fingerprintToken('ghp_two')));
    expect(calls.length).toBeGreaterThanOrEqual(3);
    expect(other.view().state.points).toBe(300);
    expect(own.view().state.points).toBeLessThan(300);
  });
});
