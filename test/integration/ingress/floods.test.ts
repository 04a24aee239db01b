import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { payloadText } from '../../fixtures/payload.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { writeConfig } from '../../support/config.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { sendWebhook } from '../../support/webhook-sender.ts';

const MIB = 1024 ** 2;
/** Just less than the senders announce: the bodies never end. */
const SENT_BYTES = 23 * MIB;
const ANNOUNCED_BYTES = 24 * MIB;

const folder = temporaryFolder('floods');
let nats: TestNats;
let ingress: TestService;

beforeAll(async () => {
  nats = await startNats();
  const config = writeConfig(folder.path, { nats: nats.address });
  ingress = await startService('ingress', { config, env: { WEBHOOK_SECRET: 'first secret' } });
  await ingress.ready();
});

afterAll(async () => {
  await ingress?.kill();
  await nats?.stop();
  folder.remove();
});

/** A body that never ends. */
interface SlowBody {
  /** Resolves with the status when it was refused, with undefined when all but its end was sent. */
  sent: Promise<number | undefined>;
  end(): void;
}

/** Sends a webhook with a signature of the right form, and all of its body but the end. */
function sendSlowBody(from: string): SlowBody {
  const { hostname, port } = new URL(ingress.address);
  const sending = request({
    hostname,
    port,
    localAddress: from,
    method: 'POST',
    path: '/webhooks/github',
    headers: {
      'content-type': 'application/json',
      'content-length': ANNOUNCED_BYTES,
      'x-github-event': 'workflow_job',
      'x-github-delivery': 'flood',
      'x-hub-signature-256': `sha256=${'0'.repeat(64)}`,
    },
  });
  const chunk = Buffer.alloc(MIB, 32);
  const sent = new Promise<number | undefined>((resolve) => {
    sending.on('response', (response) => {
      resolve(response.statusCode);
      sending.destroy();
    });
    // The server closes the connection with its answer, which may be lost then.
    sending.on('error', () => resolve(0));
    const send = (left: number): void => {
      if (left === 0) resolve(undefined);
      else if (!sending.destroyed) sending.write(chunk, () => send(left - 1));
    };
    send(SENT_BYTES / MIB);
  });
  return { sent, end: () => sending.destroy() };
}

describe('200 slow bodies of 24 MB', { timeout: 120_000 }, () => {
  it('of 20 addresses do not exhaust memory, and the forge’s webhook passes meanwhile, from an address that floods', async () => {
    const memory = () => ingress.metric('process_resident_memory_bytes');
    const before = await memory();
    const bodies = Array.from({ length: 200 }, (_, index) => sendSlowBody(`127.0.0.${1 + (index % 20)}`));
    const results = await Promise.all(bodies.map(({ sent }) => sent));
    const held = await ingress.metric('baton_ingress_body_bytes');
    // The others are still open, and hold what they have sent.
    expect(results.filter((result) => result === undefined).length).toBeGreaterThan(0);
    expect(held).toBeGreaterThan(20 * MIB);
    expect(held).toBeLessThanOrEqual(256 * MIB);
    // Without a limit it would be 4.6 GB.
    expect((await memory()) - before).toBeLessThan(700 * MIB);
    expect(await ingress.metric('baton_webhooks_total', { result: 'TOO_MANY_REQUESTS' })).toBeGreaterThan(0);

    const real = await sendWebhook(ingress.address, payloadText('workflow_job.queued'));
    expect(real).toMatchObject({ status: 202, body: { duplicate: false } });

    for (const body of bodies) body.end();
    await until(async () => (await ingress.metric('baton_ingress_body_bytes')) === 0, {
      what: 'all bytes are given back',
    });
    const large = JSON.stringify({ zen: 'x'.repeat(20 * MIB) });
    expect((await sendWebhook(ingress.address, large, { event: 'ping' })).status).toBe(202);
  });
});

describe('a connection without a complete request', { timeout: 60_000 }, () => {
  it('is closed after 10 s without its headers, and after 20 s without its body', async () => {
    const { hostname, port } = new URL(ingress.address);
    const open = async (text: string): Promise<Socket> => {
      const socket = connect({ host: hostname, port: Number(port) });
      await once(socket, 'connect');
      socket.write(text);
      socket.resume();
      return socket;
    };
    const countTimeouts = (): Promise<number> =>
      ingress.metric('baton_ingress_connections_refused_total', { reason: 'timeout' });
    const before = await countTimeouts();
    const post = 'POST /webhooks/github HTTP/1.1\r\nhost: baton\r\n';
    const headers = `content-type: application/json\r\nx-github-event: ping\r\nx-github-delivery: slow\r\n`;
    const signature = `x-hub-signature-256: sha256=${'0'.repeat(64)}\r\n`;
    const sockets = await Promise.all([
      open(''),
      open(post),
      open(`${post}${headers}${signature}content-length: 100\r\n\r\n{`),
    ]);
    await Promise.all(sockets.map((socket) => once(socket, 'close')));
    expect(await countTimeouts()).toBe(before + 3);
    expect((await sendWebhook(ingress.address, payloadText('ping'), { event: 'ping' })).status).toBe(202);
  });
});
