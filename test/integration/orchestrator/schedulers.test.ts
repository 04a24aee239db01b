import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Registry } from 'prom-client';
import { createGithubClient } from '../../../activities/forges/github/client.ts';
import { Github } from '../../../activities/forges/github/github.ts';
import { GithubApps } from '../../../activities/forges/github/apps.ts';
import { GithubAppsRuns } from '../../../activities/forges/github/apps-runs.ts';
import { GithubRuns } from '../../../activities/forges/github/runs.ts';
import { scheduleFetch } from '../../../activities/forges/github/scheduler/schedule-fetch.ts';
import type { CallScheduler } from '../../../activities/forges/github/scheduler/scheduler.ts';
import { connectBus, encode, type Bus } from '../../../contracts/lib/nats.ts';
import { createLogger } from '../../../contracts/lib/log.ts';
import { Schedulers, type SchedulersOptions } from '../../../services/orchestrator/rate-limit/schedulers.ts';
import { fingerprintToken } from '../../../services/simulator/api/routes.ts';
import { secondaryForm, type Limits } from '../../../services/simulator/settings.ts';
import { JIT } from '../../support/scheduled-forge.ts';
import { TestBench } from '../../support/simulator.ts';
import { startNats, type TestNats } from '../../support/nats.ts';

/** The schedulers of several orchestrators, whose budgets are in one bucket of a real NATS, and the simulator's own limits. */
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

/** The schedulers of one more orchestrator. */
async function openSchedulers(options: SchedulersOptions = {}, metrics = new Registry()): Promise<Schedulers> {
  const bus = await connectBus({ url: nats.address, name: 'test' });
  buses.push(bus);
  return await Schedulers.open(bus, metrics, log, options);
}

const createClient = (token: string, scheduler: CallScheduler) =>
  createGithubClient({ url: bench.simulator.address, auth: { token }, scheduler });
const createGithub = (token: string, scheduler: CallScheduler): Github =>
  new Github(createClient(token, scheduler), scheduler);

const ORDER = { scope: { organization: 'octo-org', repository: 'demo' }, group: 'g', access: { allowPublic: true } };
/** A minute of a second, as far as the forge is concerned; the margin is large, so that a slow machine changes nothing. */
const SECOND = { lengthMs: 1000, slotMs: 50, marginMs: 1000 };

/** `fetch` that is answered at once, and when it was. */
function countCalls(sentAt: number[]): typeof fetch {
  return () => {
    sentAt.push(Date.now());
    return Promise.resolve(new Response('{}', { status: 201 }));
  };
}

const post = async (send: typeof fetch, url = JIT): Promise<number> => (await send(url, { method: 'POST' })).status;
const maxWithin = (times: readonly number[], ms: number): number =>
  Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + ms).length));

describe('the budget of several orchestrators', () => {
  it('is used up at once, and never more than its points in any window, although all of them use it together', async () => {
    const all = await Promise.all([openSchedulers({ window: SECOND }), openSchedulers({ window: SECOND })]);
    const key = `shared-${randomUUID()}`;
    const sentAt: number[] = [];
    const sends = all.map((one) => scheduleFetch(one.create(key, 100), countCalls(sentAt)));
    const calls = Array.from({ length: 50 }, (_, index) => sends[index % 2]).flatMap((send) => send ?? []);
    const answers = await Promise.all(calls.map((send) => post(send)));
    expect(answers).toEqual(answers.map(() => 201));
    expect(maxWithin(sentAt, SECOND.lengthMs)).toBe(20);
  });

  it('is never more than its points in any window, although the clocks of their machines differ by an hour and are set', async () => {
    const differencesMs = [-3_600_000, 0, 3_600_000];
    const key = `clocks-${randomUUID()}`;
    const sentAt: number[] = [];
    const sends = await Promise.all(
      differencesMs.map(async (_difference, index) => {
        const wall = (): number => Date.now() + (differencesMs[index] ?? 0);
        const local = { wall, monotonic: () => performance.now() };
        const schedulers = await openSchedulers({ window: SECOND, local });
        return scheduleFetch(schedulers.create(key, 100), countCalls(sentAt));
      }),
    );
    const calls = Array.from({ length: 60 }, (_, index) => sends[index % 3]).flatMap((send) => send ?? []);
    const answers = calls.map((send) => post(send));
    await expect.poll(() => sentAt.length).toBeGreaterThan(20);
    differencesMs.reverse();
    await Promise.all(answers);
    expect(sentAt).toHaveLength(60);
    expect(maxWithin(sentAt, SECOND.lengthMs)).toBe(20);
  });

  it('is free again after one window when a clock that was hours ahead has stamped it', async () => {
    const schedulers = await openSchedulers({ window: SECOND, scope: { cap: 12, window: SECOND } });
    const ahead = Date.now() + 5 * 3_600_000;
    const used = (amount: number): [number, number][] => [[Math.floor(ahead / SECOND.slotMs), amount]];
    const key = `ahead-${randomUUID()}`;
    const queue = { waiting: 9, points: 45, since: ahead };
    const block = { kind: 'secondary', since: ahead, until: ahead + 60_000, inARow: 1, probeUntil: 0 };
    await schedulers.bucket.put(
      key,
      encode({
        uses: { registration: used(100), removal: [], background: [] },
        queues: { gone: { at: ahead, registration: queue, removal: queue, background: queue } },
        primary: { 'installation core': { resource: 'core', limit: 5000, remaining: 0, resetAt: ahead } },
        registrationResource: 'core',
        blocks: { secondary: block },
      }),
    );
    const scope = `org${randomUUID()}`;
    await schedulers.bucket.put(`registrations/${scope}`, encode(used(12)));
    const sentAt: number[] = [];
    expect(await post(scheduleFetch(schedulers.create(key, 100), countCalls(sentAt)))).toBe(201);
    const scoped = schedulers.create(`scope-${randomUUID()}`, 900);
    schedulers.scopes.refresh(scope);
    expect(await post(scheduleFetch(scoped, countCalls(sentAt)), JIT.replace('acme', scope))).toBe(201);
    expect(sentAt).toHaveLength(2);
  });

  it('allows a scope its registrations, whichever of the Apps and orchestrators makes them', async () => {
    const options = { scope: { cap: 12, window: SECOND } };
    const all = await Promise.all([openSchedulers(options), openSchedulers(options)]);
    const sentAt: number[] = [];
    const url = JIT.replace('acme', `org.${randomUUID()}`);
    const sends = all.flatMap((one) =>
      ['a', 'b'].map((app) => scheduleFetch(one.create(`${app}-${randomUUID()}`, 900), countCalls(sentAt))),
    );
    const calls = Array.from({ length: 30 }, (_, index) => sends[index % 4]).flatMap((send) => send ?? []);
    await Promise.all(calls.map((send) => post(send, url)));
    expect(sentAt).toHaveLength(30);
    expect(maxWithin(sentAt, SECOND.lengthMs)).toBe(12);
  });

  it('replaces what an older version has stored', async () => {
    const schedulers = await openSchedulers();
    const key = `old-${randomUUID()}`;
    await schedulers.bucket.put(key, encode({ points: 0, at: Date.now(), blockedUntil: Date.now() + 3_600_000 }));
    const sentAt: number[] = [];
    const scheduler = schedulers.create(key, 900);
    expect(await post(scheduleFetch(scheduler, countCalls(sentAt)))).toBe(201);
    expect(scheduler.view().budget.getUsed().registration).toBe(5);
  });

  it('is counted by each for itself without NATS', async () => {
    const schedulers = await openSchedulers();
    const sentAt: number[] = [];
    const send = scheduleFetch(schedulers.create('alone', 900), countCalls(sentAt));
    expect(await post(send)).toBe(201);
    await buses.at(-1)?.close();
    expect(await post(send)).toBe(201);
  });

  it('carries a limit that the forge reports to one over to the others', async () => {
    const [one, two] = await Promise.all([openSchedulers(), openSchedulers()]);
    const schedulers = [one.create('limited', 0), two.create('limited', 0)] as const;
    const before = { ...bench.sim.limits };
    Object.assign(bench.sim.limits, { secondaryPoints: 1, retryAfterSeconds: 300, secondaryForm: '429' });
    await expect(createGithub('ghp_one', schedulers[0]).listRegistrations(ORDER.scope)).resolves.toEqual([]);
    const refused = createGithub('ghp_one', schedulers[0]).listRegistrations(ORDER.scope);
    await expect(refused).rejects.toMatchObject({ code: 'FORGE_RATE_LIMITED', details: { retryAfterMs: 300_000 } });
    Object.assign(bench.sim.limits, before);
    bench.sim.limiter.reset();
    await expect.poll(() => schedulers[1].getRegistrationOutlook(ORDER.scope).waitMs).toBeGreaterThan(200_000);
    const calls = bench.log.since(0, 'api.call').length;
    await expect(createGithub('ghp_one', schedulers[1]).listRegistrations(ORDER.scope)).rejects.toMatchObject({
      code: 'FORGE_RATE_LIMITED',
      details: { sent: false },
    });
    expect(bench.log.since(0, 'api.call')).toHaveLength(calls);
    for (const view of [...one.limits(), ...two.limits()]) {
      expect(view).toMatchObject({ blockedUntil: expect.any(String), blockedBy: expect.stringContaining('secondary') });
    }
  });
});

describe('a limit of the simulator', () => {
  const SHORT = [
    ['429', {}],
    ['403', {}],
    ['primary limit as 403', { primary: 1, primaryStatus: 403 }],
    ['primary limit as 429', { primary: 1, primaryStatus: 429 }],
  ] as const;
  const UNNAMED = [['403-no-header'], ['403-abuse']] as const;

  /** A token whose limit another program has just used up; it lasts for some seconds. */
  async function useUp(form: string, limits: Partial<Limits> = {}) {
    const before = { ...bench.sim.limits };
    onTestFinished(() => {
      Object.assign(bench.sim.limits, before);
      bench.sim.limiter.reset();
    });
    const chosen = secondaryForm.safeParse(form).data;
    const secondary = { secondaryPoints: 6, secondaryWindowMs: 3000, retryAfterSeconds: 4 };
    const primary = { ...limits, primaryWindowMs: 3000 };
    const schedulers = await openSchedulers();
    Object.assign(bench.sim.limits, chosen === undefined ? primary : { ...secondary, secondaryForm: chosen });
    bench.sim.limiter.reset();
    const begun = bench.log.since().length;
    const register = (by: Github, signal?: AbortSignal) =>
      by.register({ ...ORDER, runner: `r-${randomUUID().slice(0, 8)}`, labels: ['demo'] }, { signal });
    await register(new Github(createGithubClient({ url: bench.simulator.address, auth: { token: 'ghp_one' } })));
    const github = createGithub('ghp_one', schedulers.create(`form-${randomUUID()}`, 0));
    return {
      register: (signal?: AbortSignal) => register(github, signal),
      outlook: () => github.getRegistrationOutlook(ORDER.scope),
      refused: () =>
        bench.log.since(begun, 'api.call').filter((event) => event['status'] === 403 || event['status'] === 429).length,
    };
  }

  it.each(SHORT)('is run into once: the call is sent again when it is over (%s)', async (form, limits) => {
    const { register, refused } = await useUp(form, limits);
    expect(await register()).toMatchObject({ jitConfig: expect.any(String) });
    expect(refused()).toBe(1);
  });

  it.each(UNNAMED)('holds calls back for a minute where its answer names no time (%s)', async (form) => {
    const { register, outlook, refused } = await useUp(form);
    const asker = new AbortController();
    const given = register(asker.signal);
    await expect.poll(() => outlook().blocked).toContain('rate limit until');
    expect(outlook().waitMs).toBeGreaterThan(45_000);
    asker.abort();
    await expect(given).rejects.toMatchObject({ code: 'FORGE_RATE_LIMITED', details: { sent: false } });
    expect(refused()).toBe(1);
  });
});

describe('several Apps', () => {
  it('share the calls, and an App that has reached its limit gets none', async () => {
    const schedulers = await openSchedulers();
    const [one, two] = [schedulers.create('app-1', 0), schedulers.create('app-2', 0)];
    const apps = new GithubApps([
      { forge: createGithub('ghp_one', one), limits: one },
      { forge: createGithub('ghp_two', two), limits: two },
    ]);
    const used = async (count: number, ask: () => Promise<unknown>): Promise<Set<unknown>> => {
      const before = bench.log.since().length;
      for (let index = 0; index < count; index++) await ask();
      return new Set(bench.log.since(before, 'api.call').map((event) => event['by']));
    };
    const runs = new GithubAppsRuns([
      { runs: new GithubRuns(createClient('ghp_one', one)), limits: one },
      { runs: new GithubRuns(createClient('ghp_two', two)), limits: two },
    ]);
    const asks = [
      () => apps.deregister(ORDER.scope, 'no-such-runner'),
      () => runs.replaceRunnerLabels(ORDER.scope, 'no-such-runner', ['team']),
    ];
    for (const ask of asks) expect(await used(4, ask)).toEqual(new Set(['ghp_one', 'ghp_two'].map(fingerprintToken)));
    const limited: typeof fetch = () =>
      Promise.resolve(new Response('', { status: 429, headers: { 'retry-after': '600' } }));
    expect(await post(scheduleFetch(one, limited))).toBe(429);
    for (const ask of asks) expect(await used(4, ask)).toEqual(new Set([fingerprintToken('ghp_two')]));
    expect(apps.getRegistrationOutlook(ORDER.scope)).toMatchObject({ waitMs: 0, blocked: null });
  });

  it('are those of an organisation: a delegation’s calls count against its App', async () => {
    const schedulers = await openSchedulers();
    const [other, own] = [schedulers.create('other-org', 900), schedulers.create('own-org', 900)];
    const runs = new GithubAppsRuns([
      { organization: 'other', runs: new GithubRuns(createClient('ghp_one', other)), limits: other },
      { organization: 'Octo-Org', runs: new GithubRuns(createClient('ghp_two', own)), limits: own },
    ]);
    const before = bench.log.since().length;
    await expect(runs.rerunJob('octo-org/demo', 4711)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    await expect(runs.getLatestAttempt('octo-org/demo', 4711)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    await expect(runs.listAttemptJobs('octo-org/demo', 4711, 1)).rejects.toMatchObject({ code: 'FORGE_REFUSED' });
    const calls = bench.log.since(before, 'api.call');
    expect(calls.map((event) => event['by'])).toEqual(calls.map(() => fingerprintToken('ghp_two')));
    expect(other.view().budget.getUsed()).toEqual({ registration: 0, removal: 0, background: 0 });
    expect(own.view().budget.getUsed()).toEqual({ registration: 5, removal: 0, background: 2 });
  });
});

describe('status and metrics', () => {
  it('show what waits, for how long, what was used and what blocks, by App and priority', async () => {
    const metrics = new Registry();
    const schedulers = await openSchedulers({}, metrics);
    const key = `shown-${randomUUID().slice(0, 8)}`;
    const other = await openSchedulers();
    const [own, others] = [schedulers.create(key, 10), other.create(key, 10)];
    const sentAt: number[] = [];
    const send = scheduleFetch(own, countCalls(sentAt));
    const asker = new AbortController();
    await Promise.all([post(send), post(send)]);
    const waiting = [scheduleFetch(others, countCalls(sentAt)), send].map((one) =>
      one(JIT, { method: 'POST', signal: asker.signal }).catch((error: unknown) => error),
    );
    // The other orchestrator's queue is known from the shared state.
    await expect
      .poll(() => {
        own.getRegistrationOutlook(ORDER.scope);
        return schedulers.limits()[0]?.calls[0];
      })
      .toEqual({
        priority: 'registration',
        waiting: 2,
        longestWaitMs: expect.any(Number),
        inFlight: 0,
        pointsUsed: 10,
      });
    expect(schedulers.limits()[0]).toMatchObject({ name: key, waiting: 2, pointsPerMinute: 10, maxInFlight: 30 });
    asker.abort();
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ details: { sent: false } });
    const text = await metrics.metrics();
    for (const line of [
      `baton_forge_calls_total{app="${key}",priority="registration",result="ok"} 2`,
      `baton_forge_calls_total{app="${key}",priority="registration",result="withdrawn"} 1`,
      `baton_forge_points_total{app="${key}",priority="registration"} 10`,
      `baton_forge_queue_length{app="${key}",priority="registration"} 0`,
      `baton_forge_calls_in_flight{app="${key}",priority="registration"} 0`,
      `baton_forge_wait_seconds_count{app="${key}",priority="registration"} 3`,
      `baton_forge_blocked_seconds{app="${key}"} 0`,
    ]) {
      expect(text).toContain(line);
    }
  });
});
