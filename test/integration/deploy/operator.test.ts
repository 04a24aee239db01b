import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUser, encodeUser, fmtCreds, fromSeed } from '@nats-io/jwt';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectBus, encode, openBucket } from '../../../contracts/lib/nats.ts';
import { readStream } from '../../../contracts/lib/stream-reader.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { createOperatorSetup, type OperatorSetup } from '../../../deploy/nats/operator.ts';
import { CREDENTIAL_NAMES, type CredentialName } from '../../../deploy/nats/permissions.ts';
import { setUpBus } from '../../../deploy/nats/set-up-bus.ts';
import { startNatsServer, type NatsServer } from '../../../deploy/servers/nats.ts';
import { until } from '../../support/until.ts';

let dir: string;
let setup: OperatorSetup;
let server: NatsServer;
const open: NatsConnection[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'baton operator '));
  setup = await createOperatorSetup(join(dir, 'nats'));
  server = await startNatsServer({ dir: join(dir, 'server'), operator: setup });
  await setUpBus(await connectAs('setup'));
});

afterAll(async () => {
  await Promise.all(open.map((bus) => bus.close()));
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function connectAs(service: CredentialName): Promise<NatsConnection> {
  const bus = await connectBus({
    url: server.url,
    name: service,
    credentialsFile: setup.credentials[service],
    waitForServer: false,
  });
  open.push(bus);
  return bus;
}

/** A runner's connection, with credentials as a backend worker signs them. */
async function connectAsRunner(name: string, permissions = {}, scopedUser = true): Promise<NatsConnection> {
  const user = createUser();
  const account = setup.runnerAccountPublicKey;
  const signer = fromSeed(new TextEncoder().encode(setup.runnerSigningKeySeed));
  const jwt = await encodeUser(name, user, account, permissions, { signer, scopedUser });
  const credentials = new TextDecoder().decode(fmtCreds(jwt, user));
  const bus = await connectBus({ url: server.url, name, credentials, waitForServer: false });
  open.push(bus);
  return bus;
}

/** 'refused' when the server refuses what `act` does, else 'allowed'. */
async function findVerdict(bus: NatsConnection, act: () => void): Promise<string> {
  const statuses = bus.status();
  const refused = (async () => {
    for await (const status of statuses) {
      if (JSON.stringify(status.data).includes('PERMISSIONS_VIOLATION')) return 'refused';
    }
    return 'closed';
  })();
  act();
  // The server answers in order: the pong of this flush comes after a refusal.
  return Promise.race([refused, bus.flush().then(() => findLateRefusal(refused))]);
}

/** Waits for the handling of a refusal that has already arrived. */
async function findLateRefusal(refused: Promise<string>): Promise<string> {
  return Promise.race([refused, new Promise<string>((resolve) => setImmediate(() => resolve('allowed')))]);
}

const publish = (bus: NatsConnection, subject: string): Promise<string> =>
  findVerdict(bus, () => bus.publish(subject, encode({})));
const subscribe = (bus: NatsConnection, subject: string): Promise<string> =>
  findVerdict(bus, () => void bus.subscribe(subject, { callback: () => undefined }));

describe('the credentials of services', () => {
  it('are readable by their owner only', () => {
    for (const service of CREDENTIAL_NAMES) expect(statSync(setup.credentials[service]).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'nats')).mode & 0o777).toBe(0o700);
  });

  it('are required to connect', async () => {
    const anonymous = connectBus({ url: server.url, name: 'anonymous', waitForServer: false });
    await expect(anonymous).rejects.toMatchObject({ code: 'BUS_DENIED' });
  });

  it('let the set-up create the streams again, and change one that is different', async () => {
    const bus = await connectAs('setup');
    const jetstreamManager = await bus.jetstreamManager();
    await jetstreamManager.streams.update(STREAMS.dead.name, { max_age: 2 * STREAMS.dead.duplicateWindowNs });
    await setUpBus(bus);
    const { config } = await jetstreamManager.streams.info(STREAMS.dead.name);
    expect(config.max_age).toBe(STREAMS.dead.maxAgeNs);
  });

  it('let the ingress publish webhooks with an acknowledgement, and request the status', async () => {
    const ingress = await connectAs('ingress');
    const ack = await ingress.jetstream().publish(subjects.webhook('github', 'workflow_job'), encode({ a: 1 }), {
      msgID: 'delivery-1',
    });
    expect(ack.stream).toBe(STREAMS.webhooks.name);

    const orchestrator = await connectAs('orchestrator');
    const answering = orchestrator.subscribe(subjects.status, {
      queue: 'orchestrator',
      callback: (_error, message) => void message.respond(encode({ ok: true })),
    });
    await orchestrator.flush();
    const answer = await ingress.request(subjects.status, encode({}), { timeout: 30_000 });
    expect(answer.json()).toEqual({ ok: true });
    answering.unsubscribe();
  });

  it('let the orchestrator publish a job that it found, and an observer request a health check', async () => {
    expect(await publish(await connectAs('orchestrator'), subjects.webhook('github', 'workflow_job'))).toBe('allowed');
    expect(await publish(await connectAs('observer'), subjects.health('linux'))).toBe('allowed');
  });

  it('let the orchestrator publish and read the usage of instances but not delete it, and an observer request costs', async () => {
    const orchestrator = await connectAs('orchestrator');
    const ack = await orchestrator.jetstream().publish(subjects.usage('linux'), encode({ a: 1 }), { msgID: 'u-1' });
    expect(ack.stream).toBe(STREAMS.usage.name);
    const uses: string[] = [];
    for await (const { data } of readStream(orchestrator, STREAMS.usage)) uses.push(new TextDecoder().decode(data));
    expect(uses).toEqual(['{"a":1}']);
    expect(await publish(orchestrator, `$JS.API.STREAM.MSG.DELETE.${STREAMS.usage.name}`)).toBe('refused');
    expect(await publish(await connectAs('backend'), subjects.usage('linux'))).toBe('refused');
    expect(await publish(await connectAs('observer'), subjects.cost)).toBe('allowed');
  });

  it('let the relay pull and acknowledge messages, and publish dead letters', async () => {
    const relay = await connectAs('relay');
    const ingress = await connectAs('ingress');
    await ingress.jetstream().publish(subjects.webhook('github', 'workflow_job'), encode({ a: 2 }));
    const consumer = await relay.jetstream().consumers.get(STREAMS.webhooks.name, STREAMS.webhooks.consumer);
    const message = await consumer.next({ expires: 30_000 });
    expect(message).not.toBeNull();
    expect(await message?.ackAck()).toBe(true);
    const ack = await relay.jetstream().publish(subjects.dead(STREAMS.webhooks.name), encode({ why: 'test' }));
    expect(ack.stream).toBe(STREAMS.dead.name);
  });

  it.each(['relay', 'orchestrator'] as const)('let the %s read and write the newest configuration', async (service) => {
    const bucket = await openBucket(await connectAs(service), STREAMS.groups);
    await bucket.put('config.newest', encode({ by: service }));
    expect((await bucket.get('config.newest'))?.json()).toEqual({ by: service });
  });

  it('let the orchestrator count dead letters and answer registrations', async () => {
    const orchestrator = await connectAs('orchestrator');
    const jetstreamManager = await orchestrator.jetstreamManager();
    expect((await jetstreamManager.streams.info(STREAMS.dead.name)).state.messages).toBe(1);
    const answering = orchestrator.subscribe('baton.v1.register.*', {
      queue: 'registrar',
      callback: (_error, message) => void message.respond(encode({ ok: true, jitConfig: 'x' })),
    });
    await orchestrator.flush();
    const runner = await connectAsRunner('demo-linux-aaaaaaaa');
    const answer = await runner.request(subjects.register('demo-linux-aaaaaaaa'), encode({}), { timeout: 30_000 });
    expect(answer.json()).toMatchObject({ ok: true });
    answering.unsubscribe();
  });

  it('let the backend publish the creation and the death of instances', async () => {
    const backend = await connectAs('backend');
    const ack = await backend.jetstream().publish(subjects.instanceDied('demo-linux-aaaaaaaa'), encode({}));
    expect(ack.stream).toBe(STREAMS.instances.name);
    expect(await publish(backend, subjects.instanceCreated('demo-linux-aaaaaaaa'))).toBe('allowed');
  });

  it.each([
    ['ingress', subjects.instanceDied('demo-linux-aaaaaaaa')],
    ['ingress', subjects.dead('X')],
    ['ingress', `$JS.API.STREAM.DELETE.${STREAMS.webhooks.name}`],
    ['ingress', `$JS.API.CONSUMER.CREATE.${STREAMS.webhooks.name}.spy`],
    ['ingress', subjects.register('demo-linux-aaaaaaaa')],
    ['relay', subjects.webhook('github', 'workflow_job')],
    ['relay', `$JS.API.STREAM.PURGE.${STREAMS.signals.name}`],
    ['relay', `$JS.API.STREAM.MSG.DELETE.${STREAMS.webhooks.name}`],
    ['relay', '$KV.BATON_GROUPS.github_com/acme/1'],
    ['ingress', '$KV.BATON_GROUPS.config.newest'],
    ['orchestrator', subjects.webhook('github', 'ping')],
    ['orchestrator', subjects.instanceDied('demo-linux-aaaaaaaa')],
    ['orchestrator', '_INBOX_demo-linux-aaaaaaaa.anything'],
    ['backend', subjects.signal('demo-linux-aaaaaaaa', 'completed')],
    ['backend', subjects.webhook('github', 'workflow_job')],
    ['observer', subjects.webhook('github', 'workflow_job')],
    ['observer', '$JS.API.INFO'],
  ] as const)('do not let %s publish %s', async (service, subject) => {
    expect(await publish(await connectAs(service), subject)).toBe('refused');
  });

  it.each([
    ['ingress', 'baton.v1.>'],
    ['ingress', '_INBOX.>'],
    ['relay', '_INBOX_ingress.>'],
    ['orchestrator', 'baton.v1.signal.>'],
    ['orchestrator', '_INBOX_demo-linux-aaaaaaaa.>'],
    ['backend', 'baton.v1.register.*'],
    ['backend', '_INBOX_demo-linux-aaaaaaaa.>'],
    ['observer', 'baton.v1.register.*'],
  ] as const)('do not let %s subscribe to %s', async (service, subject) => {
    expect(await subscribe(await connectAs(service), subject)).toBe('refused');
  });
});

describe('the credentials of runners', () => {
  const name = 'demo-linux-bbbbbbbb';

  it('let a runner publish its own signals with an acknowledgement', async () => {
    const runner = await connectAsRunner(name);
    const ack = await runner.jetstream().publish(subjects.signal(name, 'online'), encode({}), { msgID: 'one' });
    expect(ack.stream).toBe(STREAMS.signals.name);
  });

  it.each([
    subjects.signal('demo-linux-cccccccc', 'completed'),
    subjects.register('demo-linux-cccccccc'),
    subjects.instanceDied(name),
    subjects.webhook('github', 'workflow_job'),
    subjects.status,
    '$JS.API.INFO',
    `$JS.API.STREAM.MSG.GET.${STREAMS.signals.name}`,
    '_INBOX_demo-linux-cccccccc.x',
  ])('do not let a runner publish %s', async (subject) => {
    expect(await publish(await connectAsRunner(name), subject)).toBe('refused');
  });

  it.each(['baton.v1.>', '_INBOX_demo-linux-cccccccc.>', '_INBOX.>', '>'])(
    'do not let a runner subscribe to %s',
    async (subject) => {
      expect(await subscribe(await connectAsRunner(name), subject)).toBe('refused');
    },
  );

  it('are limited by the account, even when the signer grants more', async () => {
    const wide = connectAsRunner(name, { pub: { allow: ['>'] }, sub: { allow: ['>'] } }, false);
    await expect(wide).rejects.toMatchObject({ code: 'BUS_DENIED' });
  });
});

describe('a stolen key that signs runners’ credentials', () => {
  it('signs none that hears what a service of that name is told', async () => {
    const relay = await connectAs('relay');
    const thief = await connectAsRunner('relay');
    const heard: string[] = [];
    const listen = (_error: unknown, message: { subject: string }): void => void heard.push(message.subject);
    thief.subscribe('_INBOX_relay.>', { callback: listen });
    await thief.flush();
    const own = relay.subscribe('_INBOX_relay.control', { callback: listen });
    relay.publish(`$JS.API.STREAM.INFO.${STREAMS.webhooks.name}`, '', { reply: '_INBOX_relay.control' });
    await until(() => heard.length > 0, { what: 'the relay’s answer has arrived' });
    await Promise.all([relay.flush(), thief.flush()]);
    expect(heard).toHaveLength(1);
    own.unsubscribe();
  });

  it('signs none that may do what the service of that name may', async () => {
    const thief = await connectAsRunner('relay');
    expect(await publish(thief, `$JS.API.CONSUMER.MSG.NEXT.${STREAMS.webhooks.name}.relay-webhooks`)).toBe('refused');
    expect(await subscribe(thief, subjects.apply('relay'))).toBe('refused');
    expect(await publish(await connectAs('relay'), `$JS.API.STREAM.INFO.${STREAMS.webhooks.name}`)).toBe('allowed');
  });
});

describe('a second set-up in the same folder', () => {
  it('keeps its keys, so that earlier credentials stay valid', async () => {
    const before = readFileSync(setup.credentials.ingress, 'utf8');
    const again = await createOperatorSetup(join(dir, 'nats'));
    expect(again.runnerAccountPublicKey).toBe(setup.runnerAccountPublicKey);
    expect(again.runnerSigningKeySeed).toBe(setup.runnerSigningKeySeed);
    await server.stop();
    server = await startNatsServer({ dir: join(dir, 'server'), operator: again });
    const bus = await connectBus({ url: server.url, name: 'ingress', credentials: before, waitForServer: false });
    open.push(bus);
    const jetstreamManager = await bus.jetstreamManager();
    expect((await jetstreamManager.streams.info(STREAMS.webhooks.name)).config.subjects).toEqual(
      STREAMS.webhooks.subjects,
    );
  });

  it('revokes credentials: the server disconnects who uses them, and new ones work', async () => {
    const [ingress, runner] = await Promise.all([connectAs('ingress'), connectAsRunner('demo-linux-dddddddd')]);
    const stays = await connectAs('relay');
    const old = readFileSync(setup.credentials.ingress, 'utf8');
    const ended = [ingress, runner].map(untilDisconnected);
    const again = await createOperatorSetup(join(dir, 'nats'), { revoke: ['ingress', 'runners'] });
    server.reload();
    await Promise.all(ended);
    const late = connectBus({ url: server.url, name: 'ingress', credentials: old, waitForServer: false });
    await expect(late).rejects.toMatchObject({ code: 'BUS_DENIED' });
    await expect(connectAsRunner('demo-linux-dddddddd')).rejects.toMatchObject({ code: 'BUS_DENIED' });
    await connectAs('ingress');
    await stays.flush();
    setup = again;
    await connectAsRunner('demo-linux-dddddddd');
    // A later set-up forgets no revocation.
    await createOperatorSetup(join(dir, 'nats'));
    expect(readFileSync(join(dir, 'nats', 'revoked.json'), 'utf8')).toContain('U');
  });

  it('replaces credentials that end: a service that is disconnected reads its file again', async () => {
    const short = await createOperatorSetup(join(dir, 'nats'), { expiresInS: 8 });
    const bus = await connectBus({ url: server.url, name: 'relay', credentialsFile: short.credentials.relay });
    open.push(bus);
    const ended = untilDisconnected(bus);
    await createOperatorSetup(join(dir, 'nats'));
    await ended;
    for await (const { type } of bus.status()) if (type.valueOf() === 'reconnect') break;
    expect((await (await bus.jetstreamManager()).streams.info(STREAMS.dead.name)).config.name).toBe(STREAMS.dead.name);
  });
});

async function untilDisconnected(bus: NatsConnection): Promise<void> {
  for await (const { type } of bus.status()) if (type.valueOf() === 'disconnect') return;
}
