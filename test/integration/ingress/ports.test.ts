import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { payloadText } from '../../fixtures/payload.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { writeConfig } from '../../support/config.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';
import { sendWebhook } from '../../support/webhook-sender.ts';

/** Paths for operators: they show names of runners, repositories and jobs. */
const ADMIN_PATHS = ['/', '/status', '/status.json', '/status/events', '/metrics', '/readyz'];

const folder = temporaryFolder('ports');
let nats: TestNats;
let config = '';
let ingress: TestService;

beforeAll(async () => {
  nats = await startNats();
  config = writeConfig(folder.path, { nats: nats.address });
  ingress = await startService('ingress', { config, env: { WEBHOOK_SECRET: 'first secret' } });
  await ingress.ready();
});

afterAll(async () => {
  await ingress?.kill();
  await nats?.stop();
  folder.remove();
});

async function getStatus(url: string): Promise<number> {
  const response = await fetch(url, { redirect: 'manual' });
  await response.body?.cancel();
  return response.status;
}

describe('the ports of the ingress', () => {
  it('show nothing for operators where the forge, machines and proxies have access', async () => {
    for (const path of ADMIN_PATHS) {
      expect([path, await getStatus(`${ingress.address}${path}`)]).toEqual([path, 404]);
    }
    expect((await sendWebhook(ingress.address, payloadText('ping'), { event: 'ping' })).status).toBe(202);
    expect(await getStatus(`${ingress.address}/healthz`)).toBe(200);
    expect(await getStatus(`${ingress.address}/agent/0.tar`)).toBe(404);
  });

  it('serve the pages for operators on the other one, on the loopback interface unless told otherwise', async () => {
    for (const path of ADMIN_PATHS) {
      // Nobody answers requests for the status here.
      const wanted = { '/': 302, '/status.json': 503 }[path] ?? 200;
      expect([path, await getStatus(`${ingress.adminAddress}${path}`)]).toEqual([path, wanted]);
    }
    expect(await getStatus(`${ingress.adminAddress}/webhooks/github`)).toBe(404);
    expect(new URL(ingress.adminAddress).hostname).toBe('127.0.0.1');
    expect(await getStatus(`${ingress.adminAddress}/healthz`)).toBe(200);
  });
});

describe('the port of another service', () => {
  const main = fileURLToPath(new URL('../../../services/relay/main.ts', import.meta.url));

  it('is for operators only: --port is refused at the start', async () => {
    const relay = spawn(process.execPath, [main, '--config', config, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let log = '';
    for (const stream of [relay.stdout, relay.stderr]) stream.on('data', (text) => (log += String(text)));
    const [code] = await once(relay, 'close');
    expect(code).toBe(1);
    expect(log).toContain("Unknown option '--port'");
  });
});
