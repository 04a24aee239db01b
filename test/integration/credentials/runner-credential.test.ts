import { join } from 'node:path';
import { createAccount, createUser, encodeUser, fmtCreds, fromSeed } from '@nats-io/jwt';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  CLOCK_TOLERANCE_S,
  createCredentialMint,
  type CredentialMint,
} from '../../../activities/credentials/runner-credential.ts';
import { connectBus, encode, type Bus } from '../../../contracts/lib/nats.ts';
import { runnerInbox, subjects, wildcards } from '../../../contracts/messages/subjects.ts';
import { createOperatorSetup, type OperatorSetup } from '../../../deploy/nats/operator.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { startNats, type TestNats } from '../../support/nats.ts';

const ME = 'installation-linux-aaaa1111';
const OTHER = 'installation-linux-bbbb2222';
const TOLERANCE_MS = CLOCK_TOLERANCE_S * 1000;
const TEN_MINUTES = 600_000;

const folder = temporaryFolder('credential');
let nats: TestNats;
let setup: OperatorSetup;
let mint: CredentialMint;
const open: Bus[] = [];

beforeAll(async () => {
  setup = await createOperatorSetup(join(folder.path, 'operator'));
  nats = await startNats({ operator: setup });
  mint = createCredentialMint(setup.runnerAccountPublicKey, setup.runnerSigningKeySeed);
  const registrar = await connect('registrar', { credentialsFile: setup.credentials.orchestrator });
  registrar.subscribe(wildcards.register, { callback: (_error, message) => void message.respond(encode('hello')) });
  await registrar.flush();
});

afterAll(async () => {
  for (const bus of open) await bus.close();
  await nats.stop();
  folder.remove();
});

async function connect(name: string, options: { credentials?: string; credentialsFile?: string }): Promise<Bus> {
  const bus = await connectBus({ url: nats.address, name, ...options, waitForServer: false });
  open.push(bus);
  return bus;
}

function later(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

async function runner(): Promise<Bus> {
  return connect(ME, { credentials: await mint({ runner: ME, expiresAt: later(600_000) }) });
}

function isType(type: string, wanted: string): boolean {
  return type === wanted;
}

/** Resolves with the next operation that the server refuses on this connection. */
async function refusal(bus: Bus): Promise<string> {
  for await (const { type, permissionContext } of bus.status()) {
    if (isType(type, 'error')) return `${permissionContext?.operation} ${permissionContext?.subject}`;
  }
  return 'closed';
}

describe('a runner’s credential', () => {
  it('may publish its own signals, and gets JetStream’s acknowledgement', async () => {
    const bus = await runner();
    const ack = await bus.jetstream().publish(subjects.signal(ME, 'online'), encode({}), { msgID: 'one' });
    expect(ack).toMatchObject({ stream: 'BATON_SIGNALS', duplicate: false });
  });

  it('may request its own registration', async () => {
    const reply = await (await runner()).request(subjects.register(ME), encode({}), { timeout: 60_000 });
    expect(reply.json()).toBe('hello');
  });

  it.each([
    ['another runner’s signals', subjects.signal(OTHER, 'online')],
    ['another runner’s registration', subjects.register(OTHER)],
    ['a death, even its own', subjects.instanceDied(ME)],
    ['webhooks', subjects.webhook('github', 'workflow_job')],
    ['the status', subjects.status],
    ['JetStream API requests', '$JS.API.STREAM.INFO.BATON_SIGNALS'],
    ['another runner’s inbox', `${runnerInbox(OTHER)}.x`],
  ])('may not publish %s', async (_what, subject) => {
    const bus = await runner();
    const refused = refusal(bus);
    bus.publish(subject, encode({}));
    expect(await refused).toBe(`publish ${subject}`);
  });

  it.each([
    ['another runner’s inbox', `${runnerInbox(OTHER)}.>`],
    ['all inboxes', '_INBOX.>'],
    ['signals, even its own', subjects.signal(ME, 'online')],
    ['registration requests', wildcards.register],
    ['everything', '>'],
  ])('may not subscribe to %s', async (_what, subject) => {
    const bus = await runner();
    const refused = refusal(bus);
    bus.subscribe(subject, { callback: () => undefined });
    expect(await refused).toBe(`subscription ${subject}`);
  });

  it('expires: the server closes the connection and refuses new ones', async () => {
    const bus = await connect(ME, { credentials: await mint({ runner: ME, expiresAt: later(6000 - TOLERANCE_MS) }) });
    for await (const { type } of bus.status()) if (isType(type, 'disconnect')) break;
    await bus.close();
    const expired = await mint({ runner: ME, expiresAt: later(-1000 - TOLERANCE_MS) });
    await expect(connect(ME, { credentials: expired })).rejects.toMatchObject({ code: 'BUS_DENIED' });
  });

  it.each([
    ['ten minutes fast', TEN_MINUTES],
    ['ten minutes slow', -TEN_MINUTES],
  ])('is valid when the clock of its signer is %s', async (_name, offset) => {
    vi.useFakeTimers({ now: Date.now() + offset, toFake: ['Date'] });
    // It expires soon, by the signer's clock.
    const credentials = await mint({ runner: ME, expiresAt: later(60_000) }).finally(() => vi.useRealTimers());
    const bus = await connect(ME, { credentials });
    const ack = await bus.jetstream().publish(subjects.signal(ME, 'online'), encode({ offset }));
    expect(ack).toMatchObject({ stream: 'BATON_SIGNALS' });
  });

  it('is invalid when its signer adds permissions of its own', async () => {
    const user = createUser();
    const signer = fromSeed(new TextEncoder().encode(setup.runnerSigningKeySeed));
    const jwt = await encodeUser(ME, user, setup.runnerAccountPublicKey, { pub: { allow: ['>'] } }, { signer });
    const wide = new TextDecoder().decode(fmtCreds(jwt, user));
    await expect(connect(ME, { credentials: wide })).rejects.toMatchObject({ code: 'BUS_DENIED' });
  });
});

describe('the credential mint', () => {
  it.each(['', 'a.b', '*', '>', 'x.>', 'a'.repeat(64), 'UPPER'])('refuses the runner name "%s"', async (name) => {
    await expect(mint({ runner: name, expiresAt: later(1000) })).rejects.toMatchObject({ code: 'INSTANCE_INVALID' });
  });

  it('refuses keys of the wrong kind, and does not show them in the error', () => {
    const seed = new TextDecoder().decode(createUser().getSeed());
    const account = createAccount().getPublicKey();
    for (const [a, s] of [
      [account, seed],
      [account, 'SAnonsense'],
      ['nonsense', setup.runnerSigningKeySeed],
    ] as const) {
      expect(() => createCredentialMint(a, s)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
      expect(() => createCredentialMint(a, s)).not.toThrow(new RegExp(s));
    }
  });
});
