import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';
import { startService, type TestService } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { aJobEvent, startRelayWorld, type RelayWorld } from './world.ts';

let world: RelayWorld;
const relays: TestService[] = [];

beforeAll(async () => {
  world = await startRelayWorld();
}, 60_000);

afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.kill()));
});

afterAll(async () => {
  await world?.stop();
}, 60_000);

async function startRelay(): Promise<TestService> {
  const relay = await startService('relay', { config: world.config });
  relays.push(relay);
  return relay;
}

async function publishMany(count: number): Promise<JobEvent[]> {
  const events = Array.from({ length: count }, () => aJobEvent('queued'));
  await Promise.all(events.map((event) => world.publishJob(event)));
  return events;
}

/** How often each of these jobs was told to the dispatcher. */
async function countSignalled(events: readonly JobEvent[]): Promise<number[]> {
  const counts = new Map<string, number>();
  for (const item of (await world.dispatcherSignals('linux')).flat()) {
    const key = JSON.stringify(item['job']).match(/"delivery":"([^"]+)"/)?.[1] ?? '';
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return events.map(({ delivery }) => counts.get(delivery) ?? 0);
}

const countDelivered = (relay: TestService): Promise<number> =>
  relay.metric('baton_relay_messages_total', { stream: 'BATON_WEBHOOKS', result: 'delivered' });

describe('the relay under load and failures', () => {
  it('many webhooks of a group go in few signals, each once', async () => {
    const events = await publishMany(1000);
    const before = (await world.dispatcherSignals('linux')).length;
    await startRelay();
    await world.untilQueuesEmpty();
    const signals = (await world.dispatcherSignals('linux')).slice(before);
    expect(Math.max(...signals.map((signal) => signal.length))).toBe(100);
    expect(signals.length).toBeLessThan(100);
    expect(new Set(await countSignalled(events))).toEqual(new Set([1]));
  });

  it('two relays share the work, and either one’s SIGTERM loses nothing and holds nothing up', async () => {
    const [first, second] = [await startRelay(), await startRelay()];
    await Promise.all([first.ready(), second.ready()]);
    const events: JobEvent[] = [];
    let stopping: Promise<number | null> | undefined;
    for (let round = 0; round < 20; round++) {
      events.push(...(await publishMany(40)));
      if (round === 8) {
        await until(async () => (await countDelivered(first)) > 0 && (await countDelivered(second)) > 0, {
          what: 'both have had some',
        });
        stopping = first.stop();
      }
    }
    expect(await stopping).toBe(0);
    // Well below the time after which an unacknowledged message comes again by itself.
    await world.untilQueuesEmpty(15_000);
    const drained = first.log.find((line) => line.msg?.startsWith('relay drained'));
    expect(drained).toMatchObject({ webhooks: 0, signals: 0 });
    expect(new Set(await countSignalled(events))).toEqual(new Set([1]));
  });

  it('a relay that is killed loses nothing', async () => {
    const doomed = await startRelay();
    await doomed.ready();
    await world.temporal.halt();
    const events = await publishMany(50);
    await until(async () => (await doomed.metric('baton_relay_in_hand_messages')) > 0, { what: 'they are in hand' });
    await doomed.kill();
    await world.temporal.resume();
    await startRelay();
    await world.untilQueuesEmpty();
    expect(Math.min(...(await countSignalled(events)))).toBe(1);
  });

  it('a Temporal that goes and comes back loses nothing and burns no tries', async () => {
    const relay = await startRelay();
    await relay.ready();
    const before = await publishMany(200);
    await world.temporal.halt();
    const during = await publishMany(200);
    await relay.ready(false);
    // Those in hand wait; nobody is told "no", and nothing becomes a dead letter.
    expect((await fetch(`${relay.address}/healthz`)).status).toBe(200);
    await world.temporal.resume();
    await relay.ready();
    const after = await publishMany(50);
    await world.untilQueuesEmpty();
    expect(Math.min(...(await countSignalled([...before, ...during, ...after])))).toBe(1);
    expect(await world.deadLetters()).toEqual([]);
    expect(await relay.metric('baton_relay_messages_total', { result: 'retry' })).toBe(0);
  });

  it('a relay that is stopped while Temporal is away gives back what it has, at once', async () => {
    const relay = await startRelay();
    await relay.ready();
    await world.temporal.halt();
    const events = await publishMany(20);
    await until(async () => (await relay.metric('baton_relay_in_hand_messages')) > 0, { what: 'they are in hand' });
    await relay.ready(false);
    const began = Date.now();
    expect(await relay.stop()).toBe(0);
    expect(Date.now() - began).toBeLessThan(5000);
    await world.temporal.resume();
    await startRelay();
    await world.untilQueuesEmpty(15_000);
    expect(Math.min(...(await countSignalled(events)))).toBe(1);
  });

  it('a NATS server that goes and comes back loses nothing', async () => {
    const relay = await startRelay();
    await relay.ready();
    const before = await publishMany(100);
    await world.nats.halt();
    await relay.ready(false);
    await world.nats.resume();
    // Our own connection must be back, too.
    const reconnected = async (): Promise<boolean> => await world.bus.rtt().then(Boolean, () => false);
    await Promise.all([relay.ready(), until(reconnected, { what: 'we are connected' })]);
    const after = await publishMany(50);
    await world.untilQueuesEmpty();
    expect(Math.min(...(await countSignalled([...before, ...after])))).toBe(1);
    expect(await relay.stop()).toBe(0);
  });
});
