import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { encode, openBucket, connectBus, type Bus } from '../../../contracts/lib/nats.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { LiveConfig } from '../../../services/shared/live-config.ts';
import { configRecord } from '../../../services/shared/newest-config/decide.ts';
import { NewestConfig } from '../../../services/shared/newest-config/newest-config.ts';
import { aConfigFile } from '../../support/a-config-file.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { startNats, type TestNats } from '../../support/nats.ts';
import { until } from '../../support/until.ts';

const folder = temporaryFolder('newest-config');
let nats: TestNats;
let bus: Bus;

beforeAll(async () => {
  nats = await startNats();
  bus = await connectBus({ url: nats.address, name: 'test' });
});
afterAll(async () => {
  await bus?.close();
  await nats?.stop();
  folder.remove();
});

/** What a service has of its configuration. */
interface Process {
  live: LiveConfig;
  newest: NewestConfig;
  /** The `max` of the one group that it goes by; undefined where it does not know the newest configuration. */
  readMax: () => Promise<number | undefined>;
}

/** Each test has an empty bucket. */
async function useEmptyBucket(): Promise<void> {
  const manager = await bus.jetstreamManager();
  await manager.streams.purge(STREAMS.groups.name);
}

const withMax = (max: number, top = ''): string =>
  aConfigFile({ top: `rollback_after: 2s\n${top}`, group: `    max: ${max}` });

function startProcess(
  file: string,
  content: string,
  { connection = bus, mayRollBack = true }: { connection?: Bus; mayRollBack?: boolean } = {},
): Process {
  const live = new LiveConfig(folder.write(file, content));
  const newest = new NewestConfig({ live, metrics: new Registry(), log: pino({ level: 'silent' }), mayRollBack });
  newest.open(connection);
  const readMax = async (): Promise<number | undefined> => (await newest.read())?.groups[0]?.max;
  return { live, newest, readMax };
}

/** Compares again and again, as a service does, until the returned function is called or the test ends. */
function keepComparing({ newest }: Process): () => Promise<void> {
  const controller = new AbortController();
  const running = newest.run(controller.signal);
  const stop = async (): Promise<void> => {
    controller.abort();
    await running;
  };
  onTestFinished(stop);
  return stop;
}

describe('the configuration of processes with different files', () => {
  it('is that of the newer file, in either order of starting', async () => {
    await useEmptyBucket();
    const old = startProcess('old.yaml', withMax(1));
    expect(await old.readMax()).toBe(1);
    const fresh = startProcess('fresh.yaml', withMax(2));
    expect(await fresh.readMax()).toBe(2);
    expect(await old.readMax()).toBe(2);
    expect(old.live.notice).toContain('is older than the newest configuration');
    expect(fresh.live.notice).toBeNull();
    expect(await startProcess('old.yaml', withMax(1)).readMax()).toBe(2);
  });

  it('is the same for all of many that start at once', async () => {
    await useEmptyBucket();
    const all = Array.from({ length: 8 }, (_, index) => startProcess(`${index}.yaml`, withMax(index + 1)));
    await Promise.all(all.map(({ readMax }) => readMax()));
    const read = await Promise.all(all.map(({ readMax }) => readMax()));
    expect(new Set(read).size).toBe(1);
  });

  it('has the keys of each process’ own file where they concern that process only', async () => {
    await useEmptyBucket();
    const old = startProcess('old.yaml', withMax(1, 'nats: { url: "nats://old:4222" }'));
    await old.readMax();
    await startProcess('fresh.yaml', withMax(2, 'nats: { url: "nats://fresh:4222" }')).readMax();
    expect(await old.newest.read()).toMatchObject({ nats: { url: 'nats://old:4222' }, groups: [{ max: 2 }] });
    const stored = new TextDecoder().decode(
      (await (await openBucket(bus, STREAMS.groups)).get('config.newest'))?.value,
    );
    expect(configRecord.parse(JSON.parse(stored)).content).not.toHaveProperty('forge');
    expect(stored).not.toContain('SECRET');
    expect(stored).not.toContain('TOKEN');
  });

  it('is nobody’s decision where the newest one has keys that this version does not know', async () => {
    await useEmptyBucket();
    const old = startProcess('old.yaml', withMax(1));
    await old.readMax();
    const record = { version: null, content: { later: true }, superseded: [old.live.fileContent.hash], files: [] };
    await (await openBucket(bus, STREAMS.groups)).put('config.newest', encode({ hash: 'later', ...record }));
    expect(await old.newest.read()).toBeUndefined();
    expect(old.live.problem).toContain('later: unknown key');
    expect(old.live.current.groups[0]?.max).toBe(1);
  });
});

describe('a file with an earlier content', () => {
  it('is the newest at once where that same file had the newest content and was changed back', async () => {
    await useEmptyBucket();
    const other = startProcess('other.yaml', withMax(2));
    await startProcess('baton.yaml', withMax(1)).readMax();
    await startProcess('baton.yaml', withMax(2)).readMax();
    expect(await other.readMax()).toBe(2);
    const restarted = startProcess('baton.yaml', withMax(1));
    expect(await restarted.readMax()).toBe(1);
    expect(await other.readMax()).toBe(1);
  });

  it('stays older while its process has not read what the file has now', async () => {
    await useEmptyBucket();
    const early = startProcess('baton.yaml', withMax(1));
    await early.readMax();
    expect(await startProcess('baton.yaml', withMax(2)).readMax()).toBe(2);
    expect(await early.readMax()).toBe(2);
    expect(await early.live.reload()).toMatchObject({ changed: true, older: false });
  });

  it('is the newest when it is applied, and so is a lower version', async () => {
    await useEmptyBucket();
    const old = startProcess('old.yaml', withMax(1, 'version: 1'));
    const fresh = startProcess('fresh.yaml', withMax(2, 'version: 2'));
    expect(await fresh.readMax()).toBe(2);
    expect(await old.readMax()).toBe(2);
    expect(await old.live.reload(() => false)).toMatchObject({ older: true });
    expect(await old.live.reload(() => true)).toMatchObject({ older: false });
    expect(await old.readMax()).toBe(1);
    expect(await fresh.readMax()).toBe(1);
  });

  it('is the newest when no process has had the newest one for a while, and not before', async () => {
    await useEmptyBucket();
    const old = startProcess('old.yaml', withMax(1));
    const fresh = startProcess('fresh.yaml', withMax(2));
    await old.readMax();
    const received: number[] = [];
    old.live.onChange((config) => Promise.resolve(void received.push(config.groups[0]?.max ?? 0)));
    const stopFresh = keepComparing(fresh);
    keepComparing(old);
    await until(() => expect(received).toEqual([2]));
    // Signs of life for longer than `rollback_after`.
    const bucket = await openBucket(bus, STREAMS.groups);
    const first = (await bucket.get('config.alive'))?.revision ?? 0;
    await until(async () => expect((await bucket.get('config.alive'))?.revision).toBeGreaterThan(first + 6));
    expect(received).toEqual([2]);
    await stopFresh();
    await until(() => expect(received).toEqual([2, 1]));
  });

  it('stays older in a relay, however long no process has had the newest one', async () => {
    await useEmptyBucket();
    const relay = startProcess('relay.yaml', withMax(1), { mayRollBack: false });
    const orchestrator = startProcess('orchestrator.yaml', withMax(1, '# the same as that of the relay'));
    const fresh = startProcess('fresh.yaml', withMax(2));
    expect(await relay.readMax()).toBe(1);
    expect(await fresh.readMax()).toBe(2);
    const stopRelay = keepComparing(relay);
    const started = performance.now();
    // It looks ten times a second here: more often than in twice `rollback_after`.
    await until(() => expect(performance.now() - started).toBeGreaterThan(5000));
    await stopRelay();
    expect(await relay.readMax()).toBe(2);
    keepComparing(orchestrator);
    await until(async () => expect(await relay.readMax()).toBe(1));
  });
});

describe('the record of the newest configuration', () => {
  it.each([
    ['damaged', async () => void (await (await openBucket(bus, STREAMS.groups)).put('config.newest', encode('?')))],
    ['deleted', async () => (await openBucket(bus, STREAMS.groups)).delete('config.newest')],
    ['lost with its bucket’s messages', useEmptyBucket],
  ])('is written again by a process that knows it when it is %s', async (_what, damage) => {
    await useEmptyBucket();
    const old = startProcess('old.yaml', withMax(1));
    await old.readMax();
    await startProcess('fresh.yaml', withMax(2)).readMax();
    expect(await old.readMax()).toBe(2);
    await damage();
    await until(async () => expect(await old.readMax()).toBe(2));
    expect(await startProcess('again.yaml', withMax(1)).readMax()).toBe(2);
  });

  it('is not shared where NATS does not take it: each process goes by its own file', async () => {
    await useEmptyBucket();
    const small = startProcess('small.yaml', withMax(1));
    const notices = Array.from({ length: 2000 }, (_, index) => `"${String(index).padStart(600, '-')}"`);
    const groups = notices.map((notice, index) =>
      ['name: g', `${index}\n    organization: acme\n    labels: [a]\n    backend: here\n    notice: ${notice}`].join(
        '',
      ),
    );
    const large = startProcess('large.yaml', `${withMax(2)}\n  - ${groups.join('\n  - ')}\n`);
    expect(await small.readMax()).toBe(1);
    expect(await large.readMax()).toBe(2);
    expect(await small.readMax()).toBe(1);
  });
});

describe('a process without NATS', () => {
  it('knows no newest configuration, and reads it when NATS is back', async () => {
    const own = await startNats();
    const connection = await connectBus({ url: own.address, name: 'test' });
    onTestFinished(async () => {
      await connection.close();
      await own.stop();
    });
    const process = startProcess('baton.yaml', withMax(3), { connection });
    await own.halt();
    expect(process.newest.isKnown).toBe(false);
    expect(await process.readMax()).toBeUndefined();
    await expect(process.live.reload()).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
    await own.resume();
    await until(async () => expect(await process.readMax()).toBe(3));
  });
});
