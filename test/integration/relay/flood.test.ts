import { randomUUID } from 'node:crypto';
import { NatsError } from 'nats';
import pMap from 'p-map';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects, type SignalKind } from '../../../contracts/messages/subjects.ts';
import { startService, type TestService } from '../../support/service.ts';
import { startRelayWorld, type RelayWorld } from './world.ts';

const KILOBYTES_8 = 'x'.repeat(8000);

let world: RelayWorld;
let relays: TestService[];

beforeAll(async () => {
  world = await startRelayWorld();
  relays = await Promise.all([1, 2].map(() => startService('relay', { config: world.config })));
  await Promise.all(relays.map((relay) => relay.ready()));
});

afterAll(async () => {
  await Promise.all(relays?.map((relay) => relay.kill()) ?? []);
  await world?.stop();
});

async function startRunner(): Promise<string> {
  const runner = `runner-manager-linux-${randomUUID().slice(0, 8)}`;
  await world.startRunner('linux', runner);
  return runner;
}

function publish(runner: string, kind: SignalKind, body: object): Promise<void> {
  const base = { version: 1, id: randomUUID(), runner, at: new Date().toISOString(), kind };
  return world.publish(subjects.signal(runner, kind), { ...base, ...body });
}

/** Publishes again and again until the stream has stored so many: it refuses what is above the runner's share. */
async function flood(count: number, publishOne: () => Promise<void>): Promise<void> {
  const publishStored = async (): Promise<void> => {
    while (await isRefused(publishOne())) await world.bus.flush();
  };
  await pMap(Array.from({ length: count }), publishStored, { concurrency: 20 });
}

async function isRefused(published: Promise<void>): Promise<boolean> {
  try {
    await published;
    return false;
  } catch (error) {
    if (error instanceof NatsError && error.chainedError?.message === 'maximum messages per subject exceeded')
      return true;
    throw error;
  }
}

async function sum(metric: string, labels: Record<string, string>): Promise<number> {
  const counts = await Promise.all(relays.map((relay) => relay.metric(metric, labels)));
  return counts.reduce((total, count) => total + count, 0);
}

describe('a runner that floods its signals', () => {
  it('gets each kind once from each relay: its history stays small, other runners get theirs, and the rest is counted', async () => {
    const [flooding, other] = [await startRunner(), await startRunner()];
    const job = { runId: 1, runAttempt: 1, repository: 'octo-org/octo-repo', workflow: 'Build', jobKey: 'test' };
    const repeats = 500;
    const exited = (): Promise<void> => publish(flooding, 'exited', { code: 1, signal: null, logTail: KILOBYTES_8 });
    const started = (): Promise<void> => publish(flooding, 'started', { job });
    const flooded = Promise.all([flood(repeats, exited), flood(repeats, started)]);
    await publish(other, 'online', { agentVersion: '1', host: 'h' });
    await flooded;
    await publish(other, 'completed', { job });
    await world.untilQueuesEmpty();

    const handle = world.client.workflow.getHandle(runnerWorkflowId('linux', flooding));
    expect((await handle.describe()).historySize).toBeLessThan(100_000);
    const kinds = (await world.runnerSignals('linux', other)).flat().map((event) => event['signal']);
    expect(kinds).toMatchObject([{ kind: 'online' }, { kind: 'completed' }]);
    const passed = (await world.runnerSignals('linux', flooding)).flat();
    expect(passed.length).toBeGreaterThanOrEqual(2);
    expect(passed.length).toBeLessThanOrEqual(2 * relays.length);
    const busy = (await world.dispatcherSignals('linux')).flat().filter((event) => event['runner'] === flooding);
    expect(busy.length).toBeLessThanOrEqual(relays.length);
    expect(await sum('baton_relay_dropped_signals_total', { reason: 'repeated' })).toBe(2 * repeats - passed.length);
    const logged = relays.flatMap(({ log }) => log).filter(({ msg }) => msg?.startsWith('a runner floods'));
    expect(logged.length).toBeGreaterThan(0);
    expect(logged.length).toBeLessThanOrEqual(relays.length);
  });

  it('fills the dead letters with three invalid signals from each relay at most, and the rest is counted', async () => {
    const runner = await startRunner();
    const invalid = 200;
    const tooLong = { code: 1, signal: null, logTail: KILOBYTES_8.repeat(2) };
    await flood(invalid, () => publish(runner, 'exited', tooLong));
    await flood(1, () => publish(runner, 'exited', { code: 1, signal: null, logTail: '' }));
    await world.untilQueuesEmpty();

    const letters = await world.deadLetters();
    expect(letters.length).toBeGreaterThanOrEqual(3);
    expect(letters.length).toBeLessThanOrEqual(3 * relays.length);
    expect(letters[0]?.header.get('Baton-Reason')).toContain('logTail');
    expect(await sum('baton_relay_dropped_signals_total', { reason: 'MESSAGE_INVALID' })).toBe(
      invalid - letters.length,
    );
    expect((await world.runnerSignals('linux', runner)).flat()).toMatchObject([{ signal: { code: 1, logTail: '' } }]);
  });

  it('cannot store a message that is larger than any signal', async () => {
    const runner = await startRunner();
    const tooLarge = publish(runner, 'exited', { code: 1, signal: null, logTail: KILOBYTES_8.repeat(10) });
    await expect(tooLarge).rejects.toThrow(/message size exceeds maximum allowed/);
    const jetstreamManager = await world.bus.jetstreamManager();
    expect((await jetstreamManager.streams.info(STREAMS.signals.name)).state.messages).toBe(0);
  });

  it('keeps a small share of the stream while no relay runs: other runners’ signals and deaths are stored', async () => {
    const [flooding, other] = [await startRunner(), await startRunner()];
    await Promise.all(relays.map((relay) => relay.stop()));
    const tail = { code: 1, signal: null, logTail: KILOBYTES_8 };
    const results = await pMap(Array.from({ length: 50 }), () => isRefused(publish(flooding, 'exited', tail)));
    expect(results.filter((refused) => !refused)).toHaveLength(STREAMS.signals.maxMessagesPerSubject);
    await publish(other, 'exited', { ...tail, logTail: '' });
    const died = { version: 1, id: randomUUID(), runner: flooding, at: new Date().toISOString(), kind: 'died' };
    await world.publish(subjects.instanceDied(flooding), { ...died, exitCode: 1, reason: 'it died' });

    relays = await Promise.all([1, 2].map(() => startService('relay', { config: world.config })));
    await world.untilQueuesEmpty();
    expect((await world.runnerSignals('linux', other)).flat()).toMatchObject([{ signal: { kind: 'exited' } }]);
    expect((await world.runnerSignals('linux', flooding)).flat()).toContainEqual(
      expect.objectContaining({ type: 'died' }),
    );
  });
});
