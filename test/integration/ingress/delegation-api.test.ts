import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { connectBus, decode, type Bus } from '../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { createCredential, createTokenKey, signToken, signWithCredential } from '../../../contracts/lib/proxy-token.ts';
import { testGroup, writeConfig } from '../../support/config.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';

/** `/api/jobs` over HTTP, with a real NATS server. */

const PER_MINUTE = 40;
const folder = temporaryFolder('api');
const key = createTokenKey();
const other = createTokenKey();
let nats: TestNats;
let ingress: TestService;
let bus: Bus;

beforeAll(async () => {
  nats = await startNats();
  const config = writeConfig(folder.path, {
    nats: nats.address,
    groups: [testGroup('ephemeral', ['team', 'ephemeral', 'container'])],
    delegation: {
      token_keys: [key.publicKey],
      requests_per_minute: PER_MINUTE,
      proxies: [{ names: ['proxy-a', 'proxy-b', 'busy', 'large', 'small'], labels: ['team'], group: 'ephemeral' }],
    },
  });
  ingress = await startService('ingress', { config, env: { WEBHOOK_SECRET: 's', LOG_LEVEL: 'trace' } });
  await ingress.ready();
  bus = await connectBus({ url: nats.address, name: 'test' });
}, 120_000);

afterAll(async () => {
  await bus?.close();
  await ingress?.stop();
  await nats?.stop();
  folder.remove();
});

const now = (): number => Math.floor(Date.now() / 1000);
const token = (proxy: string, signer = key, lifetimeS = 600): string =>
  signToken(signer.privateKey, { proxy, issued: now(), expires: now() + lifetimeS, scopes: ['delegate', 'read'] });

const context = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  jobId: 'build',
  runId: '4711',
  runAttempt: 1,
  repository: 'acme/hello',
  workflow: 'CI',
  runnerName: 'proxy-a',
  labels: ['team'],
  trackingId: 'github_1',
  environment: { GREETING: 'two\nlines, "quotes" and = signs' },
  matrix: { os: 'linux' },
  needs: ['lint'],
  ...more,
});

async function call(method: string, path: string, bearer: string | undefined, body?: unknown) {
  const response = await fetch(`${ingress.address}${path}`, {
    method,
    headers: {
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const answer: Record<string, unknown> = z.record(z.string(), z.unknown()).parse(await response.json());
  return { status: response.status, headers: response.headers, answer };
}

const delegate = (body: unknown, bearer: string | undefined = token('proxy-a')) =>
  call('POST', '/api/jobs/delegate', bearer, body);

async function published(): Promise<unknown[]> {
  const jetstreamManager = await bus.jetstreamManager();
  const { messages } = (await jetstreamManager.streams.info(STREAMS.delegations.name)).state;
  const found: unknown[] = [];
  for (let seq = 1; seq <= messages; seq++) {
    found.push(decode((await jetstreamManager.streams.getMessage(STREAMS.delegations.name, { seq })).data));
  }
  return found;
}

describe('the delegation API', () => {
  it('gives a delegated job an id, the same for every repetition, and returns the job by its id', async () => {
    const first = await delegate(context());
    expect(first).toMatchObject({ status: 202, answer: { status: 'queued' } });
    const { id } = first.answer;
    expect((await delegate(context())).answer).toEqual(first.answer);
    expect((await delegate(context({ trackingId: 'github_2' }))).answer['id']).not.toBe(id);
    expect((await delegate(context({ runAttempt: 2 }))).answer['id']).not.toBe(id);

    const { status, answer } = await call('GET', `/api/jobs/${String(id)}`, token('proxy-a'));
    expect(status).toBe(200);
    const { trackingId: _, ...sent } = context();
    expect(answer).toMatchObject({ ...sent, id, status: 'queued', containerId: null });

    const mine = await published();
    expect(mine.filter((message) => z.object({ id: z.string() }).parse(message).id === id)).toHaveLength(1);
    expect(JSON.stringify(mine), 'the published message does not contain the environment').not.toContain('GREETING');
  });

  it('lists a proxy’s own jobs, by status and repository', async () => {
    await delegate(context({ repository: 'acme/other', runnerName: 'proxy-b' }), token('proxy-b'));
    const list = async (query: string, proxy: string): Promise<unknown[]> => {
      const { answer } = await call('GET', `/api/jobs${query}`, token(proxy));
      return z.array(z.unknown()).parse(answer['jobs']);
    };
    expect(await list('', 'proxy-b')).toHaveLength(1);
    expect(await list('?repository=acme/Other&status=queued', 'proxy-b')).toHaveLength(1);
    expect(await list('?repository=acme/hello', 'proxy-b')).toHaveLength(0);
    expect(await list('?status=running', 'proxy-b')).toHaveLength(0);
    expect(await call('GET', '/api/jobs?status=lost', token('proxy-b'))).toMatchObject({ status: 400 });
  });

  it('publishes that a proxy’s attempt has ended, and refuses it from another proxy', async () => {
    const { id } = (await delegate(context({ trackingId: 'over' }))).answer;
    const path = `/api/jobs/${String(id)}/complete`;
    expect(await call('POST', path, token('proxy-a'))).toMatchObject({ status: 202, answer: { id } });
    expect(await published()).toContainEqual(expect.objectContaining({ kind: 'attempt-over', id, proxy: 'proxy-a' }));
    expect(await call('POST', path, token('proxy-b'))).toMatchObject({ status: 403 });
  });

  it('answers 401 when the token is missing, forged, expired or signed by another key', async () => {
    const [head, , signature] = token('proxy-a').split('.');
    const forged = Buffer.from(JSON.stringify({ proxy: 'proxy-a', issued: 0, expires: 9e9 })).toString('base64url');
    for (const bearer of [
      'nonsense',
      `${head}.${forged}.${signature}`,
      token('proxy-a', other),
      token('proxy-a', key, -1),
    ]) {
      expect(await delegate(context(), bearer)).toMatchObject({ status: 401, answer: { code: 'DELEGATION_TOKEN' } });
    }
    expect(await call('POST', '/api/jobs/delegate', undefined, context())).toMatchObject({ status: 401 });
  });

  it('lets a proxy’s own tokens hand jobs over and read nothing, and refuses one that is valid for more than a day', async () => {
    const claims = { proxy: 'small', issued: now(), expires: now() + 90 * 86_400 };
    const credential = createCredential(key.privateKey, claims);
    for (const bearer of [
      signWithCredential(credential, new Date()).token,
      signToken(key.privateKey, { ...claims, expires: now() + 43_200 }),
    ]) {
      const { status, answer } = await delegate(context({ runnerName: 'small' }), bearer);
      expect(status).toBe(202);
      const path = `/api/jobs/${String(answer['id'])}`;
      expect(await call('POST', `${path}/complete`, bearer)).toMatchObject({ status: 202 });
      const refused = { status: 403, answer: { code: 'DELEGATION_SCOPE' } };
      expect(await call('GET', path, bearer)).toMatchObject(refused);
      expect(await call('GET', '/api/jobs', bearer)).toMatchObject(refused);
      expect(await call('GET', path, token('small'))).toMatchObject({ status: 200 });
    }
    const [, certificate, signature] = credential.split('.');
    for (const bearer of [signToken(key.privateKey, claims), `baton.${certificate}.${signature}`, credential]) {
      expect(await delegate(context({ runnerName: 'small' }), bearer)).toMatchObject({
        status: 401,
        answer: { code: 'DELEGATION_TOKEN' },
      });
    }
    expect(await ingress.metric('baton_delegation_requests_total', { result: 'DELEGATION_SCOPE' })).toBe(4);
  });

  it('answers 403 to a proxy that names another proxy, asks for its job, or is not configured', async () => {
    const forbidden = { status: 403, answer: { code: 'DELEGATION_FORBIDDEN' } };
    expect(await delegate(context({ runnerName: 'proxy-b' }))).toMatchObject(forbidden);
    const { id } = (await delegate(context())).answer;
    expect(await call('GET', `/api/jobs/${String(id)}`, token('proxy-b'))).toMatchObject(forbidden);
    expect(await delegate(context({ runnerName: 'stranger' }), token('stranger'))).toMatchObject(forbidden);
  });

  it('answers 400 and names every wrong field', async () => {
    const { status, answer } = await delegate(
      context({ runId: 'x', runAttempt: 0, repository: 'hello', labels: [1], secrets: { A: 'b' } }),
    );
    expect(status).toBe(400);
    const { fields } = z
      .object({ fields: z.array(z.object({ path: z.string(), message: z.string() })) })
      .parse(answer['details']);
    expect(fields.map(({ path }) => path).sort()).toEqual(['labels.0', 'repository', 'runAttempt', 'runId', 'secrets']);
    expect(JSON.stringify(answer), 'the answer does not repeat wrong values').not.toContain('"b"');
    expect(await delegate('{')).toMatchObject({ status: 400 });
  });

  it('answers 404 for an unknown delegation and 400 for an invalid id', async () => {
    const unknown = await call('GET', `/api/jobs/d-${'0'.repeat(24)}`, token('proxy-a'));
    expect(unknown).toMatchObject({ status: 404, answer: { code: 'DELEGATION_UNKNOWN' } });
    expect(await call('GET', '/api/jobs/nonsense', token('proxy-a'))).toMatchObject({ status: 400 });
  });

  it('answers 413 to a body that is too large before it has arrived', async () => {
    const { hostname, port } = new URL(ingress.address);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${token('large')}`,
        'content-type': 'application/json',
        'content-length': 300 * 1024,
      };
      const sending = request({ hostname, port, method: 'POST', path: '/api/jobs/delegate', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
        sending.destroy();
      });
      sending.once('error', reject);
      sending.write('{');
    });
    expect(status).toBe(413);
  });

  it('answers 429 with retry-after to a proxy that sends too many requests, and serves the others', async () => {
    const bearer = token('busy');
    const answers = await Promise.all(Array.from({ length: PER_MINUTE + 10 }, () => call('GET', '/api/jobs', bearer)));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.answer).toMatchObject({ code: 'DELEGATION_TOO_MANY' });
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await call('GET', '/api/jobs', token('proxy-b'))).toMatchObject({ status: 200 });
  });

  it('serves an OpenAPI document of all routes without a token', async () => {
    const { status, answer } = await call('GET', '/api/openapi.json', undefined);
    expect(status).toBe(200);
    expect(Object.keys(Object(answer['paths']))).toEqual([
      '/api/jobs/delegate',
      '/api/jobs',
      '/api/jobs/{id}',
      '/api/jobs/{id}/complete',
    ]);
    expect(JSON.stringify(answer)).toContain('"runAttempt"');
  });

  it('answers 503 with retry-after while NATS is down, and accepts the same request afterwards', async () => {
    await nats.halt();
    try {
      const { status, headers } = await delegate(context({ trackingId: 'nats-down' }));
      expect(status).toBe(503);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    } finally {
      await nats.resume();
    }
    await ingress.ready();
    expect(await delegate(context({ trackingId: 'nats-down' }))).toMatchObject({ status: 202 });
  });

  it('neither logs nor stores tokens', async () => {
    const bearer = token('proxy-b');
    await call('GET', '/api/jobs', bearer);
    await delegate(context(), bearer);
    const logged = JSON.stringify(ingress.log);
    const config = readFileSync(join(folder.path, 'baton.yaml'), 'utf8');
    for (const secret of [bearer, bearer.split('.')[2] ?? '', key.privateKey]) {
      expect(logged).not.toContain(secret);
      expect(config).not.toContain(secret);
    }
  });
});
