import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { JsMsg } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectBus, decode, type Bus } from '../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { jobEvent, type JobEvent } from '../../../contracts/messages/job-event.ts';
import { jobPayload, payloadText } from '../../fixtures/payload.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { writeConfig } from '../../support/config.ts';
import { eachOnce } from '../../support/each-once.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { startService, type TestService } from '../../support/service.ts';
import { sendWebhook } from '../../support/webhook-sender.ts';
import { until } from '../../support/until.ts';

const folder = temporaryFolder('ingress');
let nats: TestNats;
let ingress: TestService;
let bus: Bus;
let messages: ReturnType<typeof eachOnce>;

beforeAll(async () => {
  nats = await startNats();
  const config = writeConfig(folder.path, {
    nats: nats.address,
    secrets: ['OLD_SECRET', 'NEW_SECRET', 'UNSET_SECRET'],
  });
  ingress = await startService('ingress', {
    config,
    env: { OLD_SECRET: 'first secret', NEW_SECRET: 'second secret' },
  });
  await ingress.ready();
  bus = await connectBus({ url: nats.address, name: 'test' });
  const consumer = await bus.jetstream().consumers.get(STREAMS.webhooks.name, STREAMS.webhooks.consumer);
  messages = eachOnce(await consumer.consume());
});

afterAll(async () => {
  await bus?.close();
  await ingress?.kill();
  await nats?.stop();
  folder.remove();
});

/** The next job event on the stream. */
async function next(): Promise<{ event: JobEvent; message: JsMsg }> {
  const { value: message } = await messages.next();
  if (message === undefined) throw new Error('the connection was closed');
  return { event: jobEvent.parse(decode(message.data)), message };
}

describe('the webhook of a job', () => {
  it('is on the stream as a job event when the answer is 202', async () => {
    const delivery = randomUUID();
    const sent = await sendWebhook(ingress.address, payloadText('workflow_job.in_progress'), { delivery });
    expect(sent.status).toBe(202);
    expect(sent.body).toEqual({ delivery, duplicate: false });
    const { event, message } = await next();
    expect(message.subject).toBe('baton.v1.webhook.github.workflow_job');
    expect(message.headers?.get('Nats-Msg-Id')).toBe(delivery);
    expect(event).toEqual({
      version: 1,
      forge: 'github',
      delivery,
      action: 'in_progress',
      receivedAt: event.receivedAt,
      job: {
        id: 289782451,
        runId: 94829403,
        runAttempt: 1,
        name: 'test (22, ubuntu)',
        workflow: 'Build',
        headBranch: 'main',
        labels: ['self-hosted', 'linux', 'x64'],
        conclusion: null,
        createdAt: '2026-11-20T09:00:03Z',
        startedAt: '2026-11-20T09:00:21Z',
        completedAt: null,
        url: 'https://github.com/octo-org/octo-repo/actions/runs/94829403/job/289782451',
        runnerId: 42,
        runnerName: 'runner-manager-linux-a1b2c3d4',
        runnerGroup: 'linux',
      },
      repository: { fullName: 'octo-org/octo-repo', owner: 'octo-org', name: 'octo-repo', private: true },
      organization: 'octo-org',
      installationId: 21312873,
    });
  });

  it.each(['queued', 'waiting', 'completed', 'completed.cancelled', 'completed.skipped'])(
    'is accepted as GitHub sends it: %s',
    async (name) => {
      expect((await sendWebhook(ingress.address, payloadText(`workflow_job.${name}`))).status).toBe(202);
      const { event } = await next();
      expect(event.action).toBe(name.split('.')[0]);
      expect(event.job.runnerName).toBe(name === 'completed' ? 'runner-manager-linux-a1b2c3d4' : null);
      expect(event.job.runnerId).toBe(name === 'completed' ? 42 : null);
    },
  );

  it('is on the stream once when GitHub delivers it twice', async () => {
    const delivery = randomUUID();
    const body = payloadText('workflow_job.queued');
    expect((await sendWebhook(ingress.address, body, { delivery })).body.duplicate).toBe(false);
    const again = await sendWebhook(ingress.address, body, { delivery });
    expect([again.status, again.body.duplicate]).toEqual([202, true]);
    const other = randomUUID();
    await sendWebhook(ingress.address, body, { delivery: other });
    expect([(await next()).event.delivery, (await next()).event.delivery]).toEqual([delivery, other]);
  });

  it('passes on its trace context, unless it is malformed', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await sendWebhook(ingress.address, payloadText('workflow_job.queued'), { headers: { traceparent } });
    expect((await next()).message.headers?.get('traceparent')).toBe(traceparent);
    await sendWebhook(ingress.address, payloadText('workflow_job.queued'), { headers: { traceparent: 'nonsense' } });
    expect((await next()).message.headers?.get('traceparent')).toBe('');
  });

  it('is acknowledged and ignored when its action is unknown', async () => {
    const sent = await sendWebhook(ingress.address, JSON.stringify({ ...jobPayload('queued'), action: 'reassigned' }));
    expect(sent).toMatchObject({ status: 202, body: { result: 'ignored' } });
  });
});

describe('webhooks of other events', () => {
  it('are answered with 202, ignored and counted', async () => {
    const ping = await sendWebhook(ingress.address, payloadText('ping'), { event: 'ping' });
    expect(ping).toMatchObject({ status: 202, body: { event: 'ping', result: 'pong' } });
    const star = await sendWebhook(ingress.address, payloadText('star.created'), { event: 'star' });
    expect(star).toMatchObject({ status: 202, body: { event: 'star', result: 'ignored' } });
    expect(await ingress.metric('baton_webhooks_total', { event: 'ping', result: 'pong' })).toBe(1);
    expect(await ingress.metric('baton_webhooks_total', { event: 'star', result: 'ignored' })).toBe(1);
    expect(await ingress.metric('baton_webhook_bytes_total')).toBeGreaterThan(payloadText('ping').length);
  });
});

describe('the check of a webhook', () => {
  it('accepts a signature of each configured secret, and answers 401 to any other or none', async () => {
    const body = payloadText('ping');
    for (const secret of ['first secret', 'second secret']) {
      expect((await sendWebhook(ingress.address, body, { event: 'ping', secret })).status).toBe(202);
    }
    const wrong = await sendWebhook(ingress.address, body, { event: 'ping', secret: 'third secret' });
    expect(wrong).toMatchObject({ status: 401, body: { code: 'WEBHOOK_SIGNATURE' } });
    expect(wrong.body.message).toContain('the forge has another secret');
    expect(wrong.body.help).toContain('secret');
    const missing = await sendWebhook(ingress.address, body, {
      event: 'ping',
      headers: { 'x-hub-signature-256': null },
    });
    expect(missing).toMatchObject({ status: 401, body: { code: 'WEBHOOK_SIGNATURE' } });
    expect(ingress.log.filter((line) => line.level === 'warn').map((line) => line['variable'])).toContain(
      'UNSET_SECRET',
    );
  });

  it('verifies the raw bytes: the same JSON with other spaces is refused', async () => {
    const signed = await sendWebhook(ingress.address, '{"zen": "a"}', { event: 'ping' });
    expect(signed.status).toBe(202);
    const { Webhooks } = await import('@octokit/webhooks');
    const signature = await new Webhooks({ secret: 'first secret' }).sign('{"zen": "a"}');
    const spaced = await sendWebhook(ingress.address, '{"zen":"a"}', {
      event: 'ping',
      headers: { 'x-hub-signature-256': signature },
    });
    expect(spaced.status).toBe(401);
  });

  it.each(['x-github-event', 'x-github-delivery'])('answers 400 to a webhook without the header %s', async (name) => {
    const sent = await sendWebhook(ingress.address, payloadText('ping'), { event: 'ping', headers: { [name]: null } });
    expect(sent).toMatchObject({ status: 400, body: { code: 'WEBHOOK_INVALID' } });
    expect(sent.body.message).toContain(name);
  });

  it('answers 400 to a body that is not JSON', async () => {
    const sent = await sendWebhook(ingress.address, '{"action": "que');
    expect(sent).toMatchObject({ status: 400, body: { code: 'WEBHOOK_INVALID' } });
    const empty = await sendWebhook(ingress.address, '', { headers: { 'x-hub-signature-256': 'sha256=00' } });
    expect(empty.status).toBe(401);
  });

  it('answers 400 to a malformed job and names every wrong field', async () => {
    const broken = jobPayload('queued', { id: 'x', labels: null, run_id: undefined });
    const sent = await sendWebhook(
      ingress.address,
      JSON.stringify({ ...broken, action: 'exploded', repository: null }),
    );
    expect(sent.status).toBe(400);
    expect(sent.body.details?.fields?.map(({ path }) => path).sort()).toEqual([
      'action',
      'repository',
      'workflow_job.id',
      'workflow_job.labels',
      'workflow_job.run_id',
    ]);
    expect((await sendWebhook(ingress.address, '[]')).status).toBe(400);
    expect((await sendWebhook(ingress.address, 'null')).status).toBe(400);
  });

  it('answers 413 to more than 25 MB as soon as the size is known', async () => {
    const sending = request(`${ingress.address}/webhooks/github`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': 25 * 1024 ** 2 + 1 },
    });
    sending.flushHeaders();
    const [answer] = await once(sending, 'response');
    expect(answer.statusCode).toBe(413);
    expect(JSON.parse(await text(answer))).toMatchObject({ code: 'WEBHOOK_TOO_LARGE' });
    sending.destroy();
    const fits = await sendWebhook(ingress.address, Buffer.alloc(2 * 1024 ** 2, 32));
    expect(fits.status).toBe(400);
  });

  it.each([
    ['x-github-event', 'a,b', 400, 'WEBHOOK_INVALID'],
    ['x-github-event', undefined, 400, 'WEBHOOK_INVALID'],
    ['x-github-delivery', 'x'.repeat(200), 400, 'WEBHOOK_INVALID'],
    ['x-hub-signature-256', undefined, 401, 'WEBHOOK_SIGNATURE'],
    ['x-hub-signature-256', 'sha256=00', 401, 'WEBHOOK_SIGNATURE'],
    ['x-hub-signature-256', `sha1=${'0'.repeat(64)}`, 401, 'WEBHOOK_SIGNATURE'],
  ])('answers before it reads the body where the header %s is %s', async (header, value, status, code) => {
    const given: Record<string, string | undefined> = {
      'content-type': 'application/json',
      'content-length': String(20 * 1024 ** 2),
      'x-github-event': 'workflow_job',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${'0'.repeat(64)}`,
      [header]: value,
    };
    const headers = Object.fromEntries(Object.entries(given).filter(([, text]) => text !== undefined));
    const sending = request(`${ingress.address}/webhooks/github`, { method: 'POST', headers });
    sending.flushHeaders();
    const [answer] = await once(sending, 'response');
    expect(answer.statusCode).toBe(status);
    expect(JSON.parse(await text(answer))).toMatchObject({ code });
    // Nothing more of it is wanted.
    expect(answer.headers.connection).toBe('close');
    sending.destroy();
  });

  it('takes a job of 20 MB, and publishes what Baton reads of it', async () => {
    const steps = Array.from({ length: 21_000 }, (_, number) => ({ name: 'x'.repeat(1000), status: 'queued', number }));
    const body = JSON.stringify(jobPayload('queued', { steps, head_branch: 'b'.repeat(1024 ** 2) }));
    expect(body.length).toBeGreaterThan(20 * 1024 ** 2);
    expect((await sendWebhook(ingress.address, body)).status).toBe(202);
    const { event, message } = await next();
    expect(message.data.length).toBeLessThan(10_000);
    expect(event.job).toMatchObject({ name: 'test (22, ubuntu)', headBranch: 'b'.repeat(1000) });
    expect(await ingress.metric('baton_ingress_body_bytes')).toBe(0);

    const endless = JSON.stringify(jobPayload('queued', { labels: ['l'.repeat(2 * 1024 ** 2)] }));
    expect(await sendWebhook(ingress.address, endless)).toMatchObject({
      status: 413,
      body: { code: 'WEBHOOK_TOO_LARGE' },
    });
  });

  it('answers 415 to another content type and names the right one', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'text/plain']) {
      const sent = await sendWebhook(ingress.address, 'payload=%7B%7D', { headers: { 'content-type': type } });
      expect(sent).toMatchObject({ status: 415, body: { code: 'WEBHOOK_MEDIA_TYPE' } });
      expect(sent.body.help).toContain('application/json');
    }
  });
});

describe('the ingress while NATS cannot store webhooks', () => {
  it('answers 503 with Retry-After while NATS is down, and accepts the redelivery afterwards', async () => {
    const delivery = randomUUID();
    const body = payloadText('workflow_job.queued');
    await nats.halt();
    await ingress.ready(false);
    const sent = await sendWebhook(ingress.address, body, { delivery });
    expect(sent).toMatchObject({ status: 503, body: { code: 'BUS_UNAVAILABLE' } });
    expect(Number(sent.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await fetch(`${ingress.address}/healthz`)).status).toBe(200);

    await nats.resume();
    await ingress.ready();
    const again = await sendWebhook(ingress.address, body, { delivery });
    // The refused webhook was not buffered and published later.
    expect(again).toMatchObject({ status: 202, body: { duplicate: false } });
    expect((await next()).event.delivery).toBe(delivery);
  });

  it('accepts a webhook when NATS comes back before the forge gives up', async () => {
    // A machine that stalls may take longer to start NATS than a delivery waits.
    await until(async () => {
      await nats.halt();
      await ingress.ready(false);
      const sending = sendWebhook(ingress.address, payloadText('workflow_job.queued'));
      await nats.resume();
      expect((await sending).status).toBe(202);
    });
    await next();
  });

  it('answers 503 when the stream is full', async () => {
    const jetstreamManager = await bus.jetstreamManager();
    const { config } = await jetstreamManager.streams.info(STREAMS.webhooks.name);
    await jetstreamManager.streams.update(STREAMS.webhooks.name, { ...config, max_bytes: 10 });
    const sent = await sendWebhook(ingress.address, payloadText('workflow_job.queued'));
    expect(sent).toMatchObject({ status: 503, body: { code: 'BUS_UNAVAILABLE' } });
    expect(sent.body.message).toContain('full');
    await jetstreamManager.streams.update(STREAMS.webhooks.name, config);
    expect((await sendWebhook(ingress.address, payloadText('workflow_job.queued'))).status).toBe(202);
    await next();
  });
});

describe('the ingress on SIGTERM', () => {
  it('answers the requests in progress, then stops', async () => {
    await nats.halt();
    await ingress.ready(false);
    const sending = sendWebhook(ingress.address, payloadText('workflow_job.queued'));
    await until(async () => (await ingress.metric('baton_webhooks_waiting')) === 1);
    const stopped = ingress.stop();
    await ingress.logged('stopping');
    await nats.resume();
    expect((await sending).status).toBe(202);
    // Its guard would have killed it after 40 s.
    expect(await stopped).toBe(0);
  });
});
