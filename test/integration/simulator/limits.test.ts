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

describe('the rate limits of the simulator', () => {
  it('are in the headers of every answer; above the primary limit a request is refused with the time of the next window', async () => {
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

  it('include a secondary one that counts points and sends `retry-after`', async () => {
    bench = await TestBench.start({ limits: { secondaryPoints: 6, retryAfterSeconds: 7, status: 429 } });
    await bench.register('five-points');
    expect((await bench.api('GET', RUNNERS)).status).toBe(200);
    const refused = await bench.api('GET', RUNNERS);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('7');
    expect(await refused.json()).toMatchObject({ message: expect.stringContaining('secondary rate limit') });
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
