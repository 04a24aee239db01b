import { generateKeyPairSync } from 'node:crypto';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TestBench } from '../../support/simulator.ts';

let bench: TestBench;
afterEach(() => bench.dispose());

const QUIET = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const app = (privateKey: string, { appId = 5, installationId = 1 } = {}) =>
  createAppAuth({
    appId,
    privateKey,
    installationId,
    request: new Octokit({ baseUrl: `${bench.simulator.address}/api/v3`, log: QUIET }).request,
  });

const RUNNERS = '/orgs/octo-org/actions/runners';

/** Calls until one is refused. Resolves with the answers, the refused one last. */
async function callUntilRefused(call: () => Promise<Response>): Promise<Response[]> {
  const answers: Response[] = [];
  for (;;) {
    const answer = await call();
    answers.push(answer);
    if (!answer.ok) return answers;
  }
}

const remaining = (answer: Response): number => Number(answer.headers.get('x-ratelimit-remaining'));

describe('the primary rate limit of the simulator', () => {
  it('is in the headers of every answer; above it a request is refused with the time of the next window', async () => {
    bench = await TestBench.start({ limits: { primary: 2, primaryStatus: 403 } });
    const first = await bench.api('GET', RUNNERS);
    expect(remaining(first)).toBe(1);
    await bench.api('GET', RUNNERS);
    const refused = await bench.api('GET', RUNNERS);
    expect(refused.status).toBe(403);
    expect(remaining(refused)).toBe(0);
    expect(Number(refused.headers.get('x-ratelimit-reset')) * 1000).toBeGreaterThan(Date.now());
    expect(await refused.json()).toMatchObject({ message: 'API rate limit exceeded for user ID 1.' });
    expect((await bench.api('GET', '/rate_limit')).status).toBe(200);
  });

  it('counts no answer of 304', async () => {
    bench = await TestBench.start({ limits: { primary: 10 } });
    const first = await bench.api('GET', RUNNERS);
    const again = await bench.api('GET', RUNNERS, undefined, undefined, {
      'if-none-match': first.headers.get('etag') ?? '',
    });
    expect(again.status).toBe(304);
    expect(await again.text()).toBe('');
    expect(remaining(again)).toBe(9);
    await bench.register('new');
    const changed = await bench.api('GET', RUNNERS, undefined, undefined, {
      'if-none-match': first.headers.get('etag') ?? '',
    });
    expect(changed.status).toBe(200);
    expect(bench.sim.limiter.view()).toMatchObject({ actors: [{ notModified: 1, pointsNow: 8 }] });
  });

  it('has an ETag of its own for each token', async () => {
    bench = await TestBench.start({ tokens: ['ghp_one', 'ghp_two'] });
    const first = await bench.api('GET', RUNNERS, undefined, 'ghp_one');
    const other = await bench.api('GET', RUNNERS, undefined, 'ghp_two', {
      'if-none-match': first.headers.get('etag') ?? '',
    });
    expect(other.status).toBe(200);
  });

  it('answers 304 also to a date, where a resource has one', async () => {
    bench = await TestBench.start();
    const first = await bench.api('GET', '/repos/octo-org/demo');
    const since = { 'if-modified-since': first.headers.get('last-modified') ?? '' };
    expect((await bench.api('GET', '/repos/octo-org/demo', undefined, undefined, since)).status).toBe(304);
    expect((await bench.api('GET', RUNNERS, undefined, undefined, since)).status).toBe(200);
  });

  it('counts registrations separately', async () => {
    bench = await TestBench.start({ limits: { registrationsPerHour: 1, primaryStatus: 429 } });
    await bench.register('one');
    await expect(bench.register('two')).rejects.toThrow('429');
    expect((await bench.api('GET', RUNNERS)).status).toBe(200);
    expect(bench.log.since(0, 'api.call')).toMatchObject([
      { limited: false },
      { limited: true, limit: 'primary' },
      { limited: false },
    ]);
  });
});

describe('the secondary rate limits of the simulator', () => {
  it('are 900 points a minute by default: a read costs one, a change five', async () => {
    bench = await TestBench.start();
    for (let index = 0; index < 179; index++) await bench.register(`runner-${index}`);
    const answers = await callUntilRefused(() => bench.api('GET', RUNNERS));
    expect(answers).toHaveLength(6);
    const refused = answers.at(-1);
    expect(refused && remaining(refused)).toBeGreaterThan(10_000);
    expect(bench.sim.limiter.view()).toMatchObject({ actors: [{ pointsMax: 900, limited: { points: 1 } }] });
    const calls = bench.log.since(0, 'api.call');
    expect(calls.reduce((sum, { cost }) => sum + Number(cost), 0)).toBe(900);
  });

  it.each([
    ['429', 429, '7', 'secondary rate limit'],
    ['403', 403, '7', 'secondary rate limit'],
    ['403-no-header', 403, null, 'secondary rate limit'],
    ['403-abuse', 403, null, 'abuse detection mechanism'],
  ] as const)('answer in the form %s', async (secondaryForm, status, retryAfter, text) => {
    bench = await TestBench.start({ limits: { secondaryPoints: 1, retryAfterSeconds: 7, secondaryForm } });
    const refused = (await callUntilRefused(() => bench.api('GET', RUNNERS))).at(-1);
    expect(refused?.status).toBe(status);
    expect(refused?.headers.get('retry-after') ?? null).toBe(retryAfter);
    expect(refused && remaining(refused)).toBeGreaterThan(10_000);
    expect(await refused?.json()).toMatchObject({ message: expect.stringContaining(text) });
  });

  it('allow a hundred calls at once, and refuse all calls after one more', async () => {
    bench = await TestBench.start({ timing: { apiMs: 60_000 } });
    const stop = new AbortController();
    const url = `${bench.simulator.address}/api/v3${RUNNERS}`;
    const request = { headers: { authorization: 'Bearer ghp_simulator' }, signal: stop.signal };
    const open = Array.from({ length: 100 }, async () => await fetch(url, request).catch(() => 'given up'));
    await expect.poll(() => bench.sim.limiter.view()).toMatchObject({ actors: [{ calls: 100, concurrentMax: 100 }] });
    bench.sim.timing.apiMs = 0;
    expect((await bench.api('GET', RUNNERS)).ok).toBe(false);
    stop.abort();
    expect(new Set(await Promise.all(open))).toEqual(new Set(['given up']));
    expect((await bench.api('GET', RUNNERS)).ok).toBe(false);
    await bench.control('POST', '/limits/reset');
    expect((await bench.api('GET', RUNNERS)).ok).toBe(true);
  });

  it('are counted for each App and token alone; those of registrations for all of them together', async () => {
    const options = { tokens: ['ghp_one', 'ghp_two'], limits: { registrations: 3 } };
    bench = await TestBench.start(options);
    const register = async (name: string, token: string): Promise<Response> =>
      await bench.api('POST', `${RUNNERS}/generate-jitconfig`, { name, labels: ['x'], runner_group_id: 1 }, token);
    expect((await register('one', 'ghp_one')).status).toBe(201);
    expect((await register('two', 'ghp_two')).status).toBe(201);
    expect((await register('three', 'ghp_two')).status).toBe(201);
    expect((await register('four', 'ghp_one')).ok).toBe(false);
    expect((await bench.api('GET', RUNNERS, undefined, 'ghp_one')).status).toBe(200);
    expect((await bench.api('GET', RUNNERS, undefined, 'ghp_two')).status).toBe(200);
    expect(bench.sim.limiter.view()).toMatchObject({
      actors: [
        { registrations: 1, limited: { registrations: 1 } },
        { registrations: 2, limited: { registrations: 0 } },
      ],
      scopes: [{ scope: 'octo-org', registrations: 3, registrationsMax: 3 }],
    });
  });

  it('include one for the size of a runner group', async () => {
    bench = await TestBench.start({ limits: { runnersPerGroup: 1 } });
    await bench.register('one');
    await expect(bench.register('two')).rejects.toThrow(
      /422 .*Invalid Argument - Runner group 1 has reached max limit of 1 runners\./,
    );
  });
});

describe('faults of REST calls', () => {
  it('answer with an error and do nothing, or do the work and never answer', async () => {
    bench = await TestBench.start();
    await bench.control('POST', '/faults/api', { fault: 'status', status: 502, path: '/actions/runners' });
    expect((await bench.api('GET', RUNNERS)).status).toBe(502);
    await bench.control('POST', '/faults/api', { fault: 'lost', method: 'POST', path: 'generate-jitconfig' });
    await expect(bench.register('half')).rejects.toThrow('fetch failed');
    await expect(bench.register('half')).rejects.toThrow('409');
  });

  it.each([
    ['suspended', 'This installation has been suspended'],
    ['forbidden', 'Resource not accessible by integration'],
    ['sso', 'SAML enforcement'],
    ['limited', 'try again'],
  ])('can be the refusal "%s"', async (fault, text) => {
    bench = await TestBench.start({ limits: { secondaryForm: '403' } });
    await bench.control('POST', '/faults/api', { fault, path: '/actions/runners' });
    const refused = await bench.api('GET', RUNNERS);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ message: expect.stringContaining(text) });
    expect((await bench.api('GET', RUNNERS)).ok).toBe(fault !== 'limited');
  });

  it('can be an outage: first 502, then no answer; what is asked meanwhile is not done', async () => {
    bench = await TestBench.start();
    await bench.control('POST', '/faults/api', { fault: 'outage', forMs: 60_000 });
    const refused = await bench.api('GET', RUNNERS);
    expect(refused.status).toBe(502);
    expect(await refused.text()).toContain('<html>');
    await bench.control('POST', '/faults/api', { fault: 'outage', forMs: 60_000, statusMs: 0 });
    const hanging = bench.register('lost').catch((error: unknown) => String(error));
    const given = AbortSignal.timeout(300);
    const request = { headers: { authorization: 'Bearer ghp_simulator' }, signal: given };
    await expect(fetch(`${bench.simulator.address}/api/v3${RUNNERS}`, request)).rejects.toThrow('timeout');
    await bench.control('DELETE', '/faults/api');
    expect(await hanging).toContain('fetch failed');
    expect(await (await bench.api('GET', RUNNERS)).json()).toMatchObject({ total_count: 0 });
    expect(bench.sim.limiter.view()).toMatchObject({ actors: [{ calls: 1 }] });
  });
});

describe('what people do on the simulated GitHub', () => {
  it('keeps the id of a renamed repository, and redirects its former name', async () => {
    bench = await TestBench.start();
    const { id } = bench.repository;
    await bench.control('PATCH', '/repos/octo-org/demo', { name: 'renamed' });
    const path = '/repos/octo-org/demo/actions/runners';
    const manual = await fetch(`${bench.simulator.address}/api/v3${path}?name=a`, {
      headers: { authorization: 'Bearer ghp_simulator' },
      redirect: 'manual',
    });
    expect(manual.status).toBe(301);
    expect(manual.headers.get('location')).toBe(
      `${bench.simulator.address}/api/v3/repositories/${id}/actions/runners?name=a`,
    );
    expect(await (await bench.api('GET', path)).json()).toMatchObject({ total_count: 0 });
    await bench.register('moved', { scope: '/repos/octo-org/demo' });
    expect(await (await bench.api('GET', '/repos/octo-org/renamed')).json()).toMatchObject({ id, name: 'renamed' });
    bench.job(['run: "true"']);
    await bench.sim.webhooks.idle();
    expect(bench.receiver.received[0]?.body).toMatchObject({ repository: { id, full_name: 'octo-org/renamed' } });
  });

  it('answers 404 for a deleted repository and for the former id of a runner group', async () => {
    bench = await TestBench.start({ repositories: ['octo-org/demo', 'octo-org/other'] });
    await bench.control('DELETE', '/repos/octo-org/other');
    expect((await bench.api('GET', '/repos/octo-org/other')).status).toBe(404);
    const groups = '/orgs/octo-org/actions/runner-groups';
    const made = z.object({ id: z.number() }).parse(await (await bench.api('POST', groups, { name: 'mine' })).json());
    const { id } = z
      .object({ id: z.number() })
      .parse(await bench.control('POST', '/orgs/octo-org/groups/mine/recreate'));
    await expect(bench.register('one', { group: made.id })).rejects.toThrow('404');
    await bench.register('one', { group: id });
  });
});

describe('the authentication of the simulator', () => {
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  it('gives an App tokens with its permissions, for its own organisation', async () => {
    bench = await TestBench.start({
      app: { id: 5, publicKey: keys.publicKey, permissions: { organization_self_hosted_runners: 'read' } },
      repositories: ['octo-org/demo', 'other-org/demo'],
    });
    const { token } = await app(keys.privateKey)({ type: 'installation' });
    expect((await bench.api('GET', RUNNERS, undefined, token)).status).toBe(200);
    const write = await bench.api('POST', `${RUNNERS}/registration-token`, {}, token);
    expect(write.status).toBe(403);
    expect(await write.json()).toMatchObject({ message: 'Resource not accessible by integration' });
    expect((await bench.api('GET', '/orgs/other-org/actions/runners', undefined, token)).status).toBe(404);
    // Only the webhooks of an App name an installation.
    bench.job(['run: "true"']);
    await bench.sim.webhooks.idle();
    expect(bench.receiver.received[0]?.body).toMatchObject({ installation: { id: 1 } });
  });

  it('gives several Apps installations, tokens and limits of their own', async () => {
    const other = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    bench = await TestBench.start({
      apps: [
        { id: 5, publicKey: keys.publicKey },
        { id: 6, publicKey: other.publicKey },
      ],
      limits: { secondaryPoints: 10 },
    });
    const first = await app(keys.privateKey)({ type: 'installation' });
    const second = await app(other.privateKey, { appId: 6, installationId: 1001 })({ type: 'installation' });
    await callUntilRefused(() => bench.api('GET', RUNNERS, undefined, first.token));
    expect((await bench.api('GET', RUNNERS, undefined, second.token)).status).toBe(200);
    await bench.control('PATCH', '/apps/6', { suspended: true });
    const refused = await bench.api('GET', RUNNERS, undefined, second.token);
    expect(refused.status).toBe(403);
    expect(await refused.json()).toMatchObject({ message: 'This installation has been suspended' });
    const order = { type: 'installation', refresh: true } as const;
    await expect(app(other.privateKey, { appId: 6, installationId: 1001 })(order)).rejects.toThrow('suspended');
  });

  it('takes a permission away also from tokens that an App has already', async () => {
    bench = await TestBench.start({ app: { id: 5, publicKey: keys.publicKey } });
    const { token } = await app(keys.privateKey)({ type: 'installation' });
    expect((await bench.api('GET', RUNNERS, undefined, token)).status).toBe(200);
    await bench.control('PATCH', '/apps/5', { permissions: { metadata: 'read' } });
    expect((await bench.api('GET', RUNNERS, undefined, token)).status).toBe(403);
  });

  it('refuses a token of another key, an unknown token and a request without one', async () => {
    bench = await TestBench.start({ app: { id: 5, publicKey: keys.publicKey } });
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const wrong = app(other.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    await expect(wrong({ type: 'installation' })).rejects.toThrow('A JSON web token could not be decoded');
    expect((await bench.api('GET', RUNNERS, undefined, 'ghp_wrong')).status).toBe(401);
    expect((await bench.api('GET', '/app')).status).toBe(401);
    expect((await fetch(`${bench.simulator.address}/api/v3${RUNNERS}`)).status).toBe(401);
  });
});
