import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';
import { startService, type TestService } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { aJobEvent, startRelayWorld, type RelayWorld } from './world.ts';

let world: RelayWorld;
const relays: TestService[] = [];

beforeAll(async () => {
  world = await startRelayWorld();
});

afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.kill()));
});

afterAll(async () => {
  await world?.stop();
});

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

/** How often the dispatcher was signalled about each of these jobs. */
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
  it('delivers many webhooks of a group once each, in batches of up to 100 per signal', async () => {
    const events = await publishMany(1000);
    const before = (await world.dispatcherSignals('linux')).length;
    await startRelay();
    await world.untilQueuesEmpty();
    const signals = (await world.dispatcherSignals('linux')).slice(before);
    expect(Math.max(...signals.map((signal) => signal.length))).toBeLessThanOrEqual(100);
    expect(signals.length).toBeLessThan(100);
    expect(new Set(await countSignalled(events))).toEqual(new Set([1]));
  });

  it('shares the work with a second relay; stopping one of them with SIGTERM loses and delays nothing', async () => {
    const [first, second] = [await startRelay(), await startRelay()];
    await Promise.all([first.ready(), second.ready()]);
    const events: JobEvent[] = [];
    let stopping: Promise<number | null> | undefined;
    for (let round = 0; round < 20; round++) {
      events.push(...(await publishMany(40)));
      if (round === 8) {
        // A relay that asked for messages late gets none of the earlier ones.
        const handled = async (): Promise<boolean> => {
          events.push(...(await publishMany(1)));
          return (await countDelivered(first)) > 0 && (await countDelivered(second)) > 0;
        };
        await until(handled, { what: 'both relays have handled messages' });
        stopping = first.stop();
      }
    }
    expect(await stopping).toBe(0);
    // Well below the acknowledgement timeout, after which the stream would deliver the messages again.
    await world.untilQueuesEmpty(15_000);
    const drained = first.log.find((line) => line.msg?.startsWith('relay drained'));
    expect(drained).toMatchObject({ webhooks: 0, signals: 0 });
    expect(new Set(await countSignalled(events))).toEqual(new Set([1]));
  });

  it('loses nothing when a relay is killed with messages in progress', async () => {
    const killed = await startRelay();
    await killed.ready();
    await world.temporal.halt();
    const events = await publishMany(50);
    await until(async () => (await killed.metric('baton_relay_in_hand_messages')) > 0, {
      what: 'messages are in progress',
    });
    await killed.kill();
    await world.temporal.resume();
    await startRelay();
    await world.untilQueuesEmpty();
    expect(Math.min(...(await countSignalled(events)))).toBe(1);
  });

  it('loses nothing and uses up no retries while Temporal is down', async () => {
    const relay = await startRelay();
    await relay.ready();
    const before = await publishMany(200);
    await world.temporal.halt();
    const during = await publishMany(200);
    await relay.ready(false);
    // Messages in progress wait; none is returned to the stream and none becomes a dead letter.
    expect((await fetch(`${relay.adminAddress}/healthz`)).status).toBe(200);
    await world.temporal.resume();
    await relay.ready();
    const after = await publishMany(50);
    await world.untilQueuesEmpty();
    expect(Math.min(...(await countSignalled([...before, ...during, ...after])))).toBe(1);
    expect(await world.deadLetters()).toEqual([]);
    expect(await relay.metric('baton_relay_messages_total', { result: 'retry' })).toBe(0);
  });

  it('returns its messages to the stream at once when it is stopped while Temporal is down', async () => {
    const relay = await startRelay();
    await relay.ready();
    await world.temporal.halt();
    const events = await publishMany(20);
    await until(async () => (await relay.metric('baton_relay_in_hand_messages')) > 0, {
      what: 'messages are in progress',
    });
    await relay.ready(false);
    const began = Date.now();
    expect(await relay.stop()).toBe(0);
    // Shorter than a relay waits for what is in progress.
    expect(Date.now() - began).toBeLessThan(12_000);
    await world.temporal.resume();
    await startRelay();
    await world.untilQueuesEmpty(15_000);
    expect(Math.min(...(await countSignalled(events)))).toBe(1);
  });

  it('loses nothing when the NATS server restarts', async () => {
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
