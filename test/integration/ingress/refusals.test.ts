import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectBus, decode, encode, type Bus } from '../../../contracts/lib/nats.ts';
import { createTokenKey } from '../../../contracts/lib/proxy-token.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { readStream } from '../../../contracts/lib/stream-reader.ts';
import type { AuditEntry } from '../../../contracts/messages/audit.ts';
import {
  MAX_REFUSALS_PER_MINUTE,
  refusedRequest,
  type RefusedRequest,
} from '../../../contracts/messages/refused-request.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { payloadText } from '../../fixtures/payload.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { testGroup, writeConfig } from '../../support/config.ts';
import { flood } from '../../support/flood.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';
import { sendWebhook } from '../../support/webhook-sender.ts';

const CLI = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));
const WEBHOOK =
  'POST /webhooks/github HTTP/1.1\r\nhost: baton\r\ncontent-type: application/json\r\ncontent-length: 2\r\n';
const UNSIGNED = `${WEBHOOK}x-github-event: ping\r\nx-github-delivery: flood\r\n\r\n{}`;
const API = 'GET /api/jobs HTTP/1.1\r\nhost: baton\r\n';

let folder: ReturnType<typeof temporaryFolder>;
let nats: TestNats;
let ingress: TestService;
let bus: Bus;
let config = '';

async function startIngress(trustedProxies: string[] = []): Promise<void> {
  config = writeConfig(folder.path, {
    nats: nats.address,
    groups: [testGroup('ephemeral', ['team', 'ephemeral', 'container'])],
    delegation: {
      token_keys: [createTokenKey().publicKey],
      proxies: [{ names: ['proxy-a'], labels: ['team'], group: 'ephemeral' }],
    },
    ingress: { trusted_proxies: trustedProxies },
  });
  ingress = await startService('ingress', { config, env: { WEBHOOK_SECRET: 'first secret' } });
  await ingress.ready();
}

beforeEach(async () => {
  folder = temporaryFolder('refusals');
  nats = await startNats();
  bus = await connectBus({ url: nats.address, name: 'test' });
});
afterEach(async () => {
  await bus?.close();
  await ingress?.kill();
  await nats?.stop();
  folder.remove();
});

async function readRefusals(): Promise<RefusedRequest[]> {
  const entries: RefusedRequest[] = [];
  for await (const { data } of readStream(bus, STREAMS.refusals)) entries.push(refusedRequest.parse(decode(data)));
  return entries;
}

async function countAudit(): Promise<number> {
  let count = 0;
  for await (const { sequence } of readStream(bus, STREAMS.audit)) count += sequence > 0 ? 1 : 0;
  return count;
}

describe('100,000 refused requests', { timeout: 180_000 }, () => {
  it('push no step of a delegation out of the audit, and are a few entries of their own', async () => {
    await startIngress();
    const step: AuditEntry = {
      version: 1,
      id: 'step',
      at: '2026-11-20T09:00:03.000Z',
      who: 'proxy/proxy-a',
      action: 'requested',
      delegation: 'd-1',
      repository: 'acme/hello',
      runId: '1',
      outcome: 'ok',
      detail: 'job build, attempt 1',
    };
    await publishOnce(bus, subjects.audit('requested'), encode(step), { id: 'step', timeoutMs: 5000 });

    expect(await flood(ingress.address, { request: UNSIGNED, count: 100_000 })).toEqual({ 401: 100_000 });
    expect(await ingress.metric('baton_ingress_refused_total', { code: 'WEBHOOK_SIGNATURE' })).toBe(100_000);
    // Even where a minute ends meanwhile, one of the two has more than its entries.
    for (let host = 1; host <= 80; host++) {
      await flood(ingress.address, { request: API + '\r\n', count: 1, connections: 1, from: `127.0.1.${host}` });
    }
    // What the last minute brought is stored at the end.
    expect(await ingress.stop()).toBe(0);
    const entries = await readRefusals();
    expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(100_080);
    const flooded = entries.filter(({ code }) => code === 'WEBHOOK_SIGNATURE');
    expect(flooded.reduce((sum, { count }) => sum + count, 0)).toBe(100_000);
    expect(flooded.map(({ who }) => who)).toEqual(flooded.map(() => '127.0.0.1'));
    expect(flooded.length).toBeLessThanOrEqual(4);
    expect(entries.filter(({ who }) => who === 'others').length).toBeGreaterThan(0);
    // Each entry of a minute is of another caller or code, and there are at most so many of them.
    expect(entries.length).toBeLessThanOrEqual(4 * (MAX_REFUSALS_PER_MINUTE + 1));
    expect(await countAudit()).toBe(1);

    const run = promisify(execFile);
    const { stdout: all } = await run(process.execPath, [CLI, 'audit', '--config', config]);
    expect(all).toMatch(/2026-11-20 09:00:03 +proxy\/proxy-a +requested +ok +d-1 +acme\/hello#1/);
    expect(all).toMatch(/127\.0\.0\.1 +refused +WEBHOOK_SIGNATURE +\d+ within a minute: verifying a webhook: /);
    const { stdout: refused } = await run(process.execPath, [CLI, 'audit', '--refusals', '--config', config]);
    expect(refused).not.toContain('requested');
    expect(refused).toContain('others');
    const { stdout: filtered } = await run(process.execPath, [CLI, 'audit', '--delegation', 'd-1', '--config', config]);
    expect(filtered).not.toContain('WEBHOOK_SIGNATURE');
  });

  it('are warnings of the log once a minute and caller', async () => {
    await startIngress();
    await flood(ingress.address, { request: UNSIGNED, count: 2000 });
    const warnings = ingress.log.filter(({ msg = '' }) => msg.startsWith('verifying a webhook: '));
    expect(warnings.length).toBeGreaterThan(0);
    expect(warnings.length).toBeLessThanOrEqual(2);
  });
});

describe('requests of one address, before any token is checked', { timeout: 120_000 }, () => {
  const agent = 'GET /agent/0.tar HTTP/1.1\r\nhost: baton\r\n\r\n';

  it.each([
    ['/api/', `${API}\r\n`, '401'],
    ['/agent/', agent, '404'],
    ['unknown paths', 'POST /elsewhere HTTP/1.1\r\nhost: baton\r\ncontent-length: 0\r\n\r\n', '404'],
  ])('are answered with 429 and Retry-After beyond its share: %s', async (_what, request, status) => {
    await startIngress();
    const counts = await flood(ingress.address, { request, count: 10_000 });
    expect(Object.keys(counts).toSorted()).toEqual([status, '429']);
    // The bucket holds 2,000, and gets 100 a second.
    expect(counts[status]).toBeGreaterThanOrEqual(2000);
    expect(await ingress.metric('baton_ingress_refused_total', { code: 'TOO_MANY_REQUESTS' })).toBe(counts['429']);
    // Others have a share of their own, and webhooks need none.
    expect(await flood(ingress.address, { request, count: 1, from: '127.0.0.2' })).toEqual({ [status]: 1 });
    expect((await sendWebhook(ingress.address, payloadText('ping'), { event: 'ping' })).status).toBe(202);
  });

  it('are those of one client behind a trusted proxy, and of the proxy itself behind any other', async () => {
    const from = (client: string): string => `${API}x-forwarded-for: ${client}\r\n\r\n`;
    await startIngress(['127.0.0.9']);
    const trusted = await flood(ingress.address, { request: from('192.0.2.1'), count: 10_000, from: '127.0.0.9' });
    expect(trusted['429']).toBeGreaterThan(0);
    expect(await flood(ingress.address, { request: from('192.0.2.2'), count: 1, from: '127.0.0.9' })).toEqual({
      401: 1,
    });
    // Anybody can write the header.
    const spoofed = await flood(ingress.address, { request: from('192.0.2.3'), count: 10_000, from: '127.0.0.8' });
    expect(spoofed['429']).toBeGreaterThan(0);
    expect(
      Object.keys(await flood(ingress.address, { request: from('192.0.2.4'), count: 1900, from: '127.0.0.8' })),
    ).toContain('429');
    await ingress.stop();
    const callers = new Set((await readRefusals()).map(({ who }) => who));
    expect([...callers].toSorted()).toEqual(['127.0.0.8', '192.0.2.1', '192.0.2.2']);
  });
});
