import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { connectBus, encode, openBucket, type Bus } from '../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { createRefusedRequests, serveRequests } from '../../../services/shared/request-server.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { until } from '../../support/until.ts';

const SUBJECT = 'baton.v1.test-request';

const metrics = new Registry();
const stop = new AbortController();
const handled: string[] = [];
let nats: TestNats;
let bus: Bus;
let serving: Promise<void>;

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.address, name: 'test' });
  const refused = createRefusedRequests(metrics);
  serving = serveRequests(
    { bus, log: pino({ level: 'silent' }), refused, stop: stop.signal },
    {
      name: 'test request',
      subject: SUBJECT,
      schema: z.object({ who: z.string() }),
      handle: ({ who }) => {
        handled.push(who);
        return Promise.resolve({ ok: true });
      },
    },
  );
  await bus.flush();
});

afterAll(async () => {
  stop.abort();
  await serving;
  await bus.close();
  await nats.stop();
});

async function countRefused(): Promise<number> {
  const found = await metrics.getSingleMetric('baton_requests_refused_total')?.get();
  return found?.values.reduce((sum, { value }) => sum + value, 0) ?? 0;
}

describe('a request server', () => {
  it('answers a request whose reply goes to an inbox', async () => {
    expect((await bus.request(SUBJECT, encode({ who: 'a client' }), { timeout: 60_000 })).json()).toEqual({ ok: true });
    expect(handled).toEqual(['a client']);
  });

  it.each([
    ['that asks for no reply', async () => bus.publish(SUBJECT, encode({ who: 'nobody' }))],
    [
      'whose reply would be a request',
      async () => bus.publish(SUBJECT, encode({ who: 'x' }), { reply: 'baton.v1.apply.relay' }),
    ],
    [
      'whose reply would be a stored message',
      async () => bus.publish(SUBJECT, encode({ who: 'x' }), { reply: '$KV.BATON_GROUPS.x' }),
    ],
    [
      'that is a stored message, which somebody had sent there',
      async () => {
        await (await openBucket(bus, STREAMS.groups)).put('mine', encode({ who: 'a thief' }));
        bus.publish('$JS.API.DIRECT.GET.KV_BATON_GROUPS.$KV.BATON_GROUPS.mine', '', { reply: SUBJECT });
      },
    ],
    [
      'that is an answer of JetStream, which somebody had sent there',
      async () => bus.publish('$JS.API.STREAM.INFO.BATON_AUDIT', '', { reply: SUBJECT }),
    ],
  ])('refuses and counts a message %s', async (_what, send) => {
    const before = await countRefused();
    handled.splice(0);
    await send();
    await until(async () => expect(await countRefused()).toBe(before + 1));
    expect(handled).toEqual([]);
  });
});
