import { generateKeyPairSync } from 'node:crypto';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { TestBench } from '../../support/simulator.ts';

let bench: TestBench;
afterEach(() => bench.dispose());

const QUIET = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const app = (privateKey: string) =>
  createAppAuth({
    appId: 5,
    privateKey,
    installationId: 1,
    request: new Octokit({ baseUrl: `${bench.simulator.address}/api/v3`, log: QUIET }).request,
  });

const RUNNERS = '/orgs/octo-org/actions/runners';

describe('limits', () => {
  it('tell what is left, and refuse with the time of the next window', async () => {
    bench = await TestBench.start({ limits: { primary: 2 } });
    const first = await bench.api('GET', RUNNERS);
    expect(first.headers.get('x-ratelimit-remaining')).toBe('1');
    await bench.api('GET', RUNNERS);
    const refused = await bench.api('GET', RUNNERS);
    expect(refused.status).toBe(403);
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0');
    expect(Number(refused.headers.get('x-ratelimit-reset')) * 1000).toBeGreaterThan(Date.now());
    expect(await refused.json()).toMatchObject({ message: expect.stringContaining('API rate limit exceeded') });
    expect((await bench.api('GET', '/rate_limit')).status).toBe(200);
  });

  it('of the secondary kind count points and say when to come back', async () => {
    bench = await TestBench.start({ limits: { secondaryPoints: 6, retryAfterSeconds: 7, status: 429 } });
    await bench.register('five-points');
    expect((await bench.api('GET', RUNNERS)).status).toBe(200);
    const refused = await bench.api('GET', RUNNERS);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('7');
    expect(await refused.json()).toMatchObject({ message: expect.stringContaining('secondary rate limit') });
  });
});

describe('calls that go wrong on demand', () => {
  it('answer with an error and do nothing, or do it and never answer', async () => {
    bench = await TestBench.start();
    await bench.control('POST', '/faults/api', { fault: 'status', status: 502, path: '/actions/runners' });
    expect((await bench.api('GET', RUNNERS)).status).toBe(502);
    await bench.control('POST', '/faults/api', { fault: 'lost', method: 'POST', path: 'generate-jitconfig' });
    await expect(bench.register('half')).rejects.toThrow('fetch failed');
    await expect(bench.register('half')).rejects.toThrow('409');
  });
});

describe('authentication', () => {
  const keys = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  it('of an App gives tokens that can do what it may, in its own organisation', async () => {
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
    // An App's webhooks name its installation, another kind's don't.
    bench.job(['run: "true"']);
    await bench.sim.webhooks.idle();
    expect(bench.receiver.received[0]?.body).toMatchObject({ installation: { id: 1 } });
  });

  it('refuses what it doesn’t know', async () => {
    bench = await TestBench.start({ app: { id: 5, publicKey: keys.publicKey } });
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const forged = app(other.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    await expect(forged({ type: 'installation' })).rejects.toThrow('A JSON web token could not be decoded');
    expect((await bench.api('GET', RUNNERS, undefined, 'ghp_wrong')).status).toBe(401);
    expect((await bench.api('GET', '/app')).status).toBe(401);
    expect((await fetch(`${bench.simulator.address}/api/v3${RUNNERS}`)).status).toBe(401);
  });
});
