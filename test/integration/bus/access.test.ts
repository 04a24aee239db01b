import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromSeed } from '@nats-io/jwt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCredentialMint } from '../../../activities/credentials/runner-credential.ts';
import { connectBus, encode, type Bus } from '../../../contracts/lib/nats.ts';
import { STREAMS, type StreamPlan } from '../../../contracts/messages/streams.ts';
import { subjects, wildcards } from '../../../contracts/messages/subjects.ts';
import { ACCOUNT_NAMES, mapAccounts, type AccountName } from '../../../deploy/nats/accounts.ts';
import { createOperatorSetup, getAccountKeyFile, type OperatorSetup } from '../../../deploy/nats/operator.ts';
import { CREDENTIAL_NAMES, getAccess } from '../../../deploy/nats/permissions.ts';
import { setUpBus } from '../../../deploy/nats/set-up-bus.ts';
import { startNatsServer, type NatsServer } from '../../../deploy/servers/nats.ts';
import { temporaryFolder } from '../../support/cleanup.ts';
import { connectUnrestricted } from '../../support/unrestricted-bus.ts';
import { attack, Watchers, type Reach } from './attacker.ts';
import { formatAccess } from './format-access.ts';
import { listTargets, OWN, type Target } from './targets.ts';

const PAGE = fileURLToPath(new URL('../../../deploy/docs/reference/nats-access.md', import.meta.url));

const folder = temporaryFolder('bus-access');
const operator = join(folder.path, 'operator');
let setup: OperatorSetup;
let server: NatsServer;
let watchers: Watchers;
let targets: Target[];
const open: Bus[] = [];
const reached = new Map<string, Reach>();
/** The configuration of all streams before the attacks. */
let before: unknown;

async function connect(name: string, credentials: { credentialsFile?: string; credentials?: string }): Promise<Bus> {
  const bus = await connectBus({ url: server.url, name, ...credentials, waitForServer: false });
  open.push(bus);
  return bus;
}

/** All streams with their configuration and consumers, and how many messages they have lost; buckets lose older values by design. */
async function readStreams(): Promise<unknown> {
  const jetstreamManager = await watchers.get('streams').jetstreamManager();
  const streams = await jetstreamManager.streams.list().next();
  return streams
    .map(({ config, state }) => ({
      config,
      consumers: state.consumer_count,
      lost: config.name.startsWith('KV_') ? 0 : Math.max(state.first_seq - 1, 0) + (state.num_deleted ?? 0),
    }))
    .toSorted((a, b) => a.config.name.localeCompare(b.config.name));
}

function readPublicKey(account: AccountName): string {
  return fromSeed(new Uint8Array(readFileSync(getAccountKeyFile(operator, account)))).getPublicKey();
}

/** Subscribes to all that services subscribe to, with their credentials, so that the server lists it and requests are answered. */
async function answerRequests(): Promise<void> {
  for (const name of CREDENTIAL_NAMES) {
    const { answers, receives } = getAccess(name);
    const bus = await connect(name, { credentialsFile: setup.credentials[name] });
    for (const subject of answers) {
      bus.subscribe(subject, {
        callback: (_error, message) => {
          if (message.reply !== undefined && message.reply !== '') message.respond(encode({ ok: true }));
        },
      });
    }
    for (const subject of receives) bus.subscribe(subject, { callback: () => undefined });
    await bus.flush();
  }
}

beforeAll(async () => {
  setup = await createOperatorSetup(operator);
  server = await startNatsServer({ dir: join(folder.path, 'server'), operator: setup });
  const bus = await connect('setup', { credentialsFile: setup.credentials.setup });
  await setUpBus(bus);
  const buses = mapAccounts((account) => connectUnrestricted(operator, server.url, account));
  const watching = new Map<AccountName, Bus>();
  for (const account of ACCOUNT_NAMES) watching.set(account, await buses[account]);
  open.push(...watching.values());
  await answerRequests();
  const streams = await buses.streams;
  targets = await listTargets(streams, server.monitorUrl ?? '', mapAccounts(readPublicKey));
  watchers = new Watchers(watching);
  before = await readStreams();
  const mint = createCredentialMint(setup.runnerAccountPublicKey, setup.runnerSigningKeySeed);
  const runner = await mint({ runner: OWN, expiresAt: new Date(Date.now() + 600_000).toISOString() });
  reached.set('runner', await attack(() => connect(OWN, { credentials: runner }), targets, watchers));
  for (const name of CREDENTIAL_NAMES.filter((credential) => credential !== 'setup')) {
    const credentialsFile = setup.credentials[name];
    reached.set(name, await attack(() => connect(name, { credentialsFile }), targets, watchers));
  }
}, 180_000);

afterAll(async () => {
  for (const bus of open) await bus.close();
  await server?.stop();
  folder.remove();
});

function getReach(name: string): Reach {
  const reach = reached.get(name);
  if (reach === undefined) throw new Error(`nobody attacked with ${name}`);
  return reach;
}

describe('an attacker with the credential of a job', () => {
  it('tries every subject of the server’s lists', () => {
    const tried = targets.map(({ subject }) => subject);
    const stored = Object.values<StreamPlan>(STREAMS).flatMap((plan) => plan.subjects);
    for (const subject of stored)
      expect(tried).toContain(subject.replace('signal.*', 'signal.RUNNER').replace('instance.*', 'instance.RUNNER'));
    for (const subject of Object.values(subjects)) {
      const [, , kind] = (
        typeof subject === 'string' ? subject : Reflect.apply(subject, undefined, ['RUNNER', 'online'])
      ).split('.');
      expect(tried.some((one) => one.startsWith(`baton.v1.${kind}`)) ? '' : kind).toBe('');
    }
    expect(tried.length).toBeGreaterThan(150);
  });

  it('publishes its own signals and registration request, and nothing else', () => {
    const own = [...STREAMS.signals.subjects, wildcards.register].map((subject) => subject.replace('*', 'own'));
    expect(getReach('runner').publish.toSorted()).toEqual(own.toSorted());
  });

  it('receives what is sent to its own inbox, and nothing else', () => {
    expect(getReach('runner').subscribe).toEqual(['_INBOX_own.x']);
  });

  it('directs answers into no account but its own', () => {
    expect(getReach('runner').reply.filter((subject) => !subject.startsWith('_INBOX_o'))).toEqual([]);
  });
});

describe('an attacker with the credential of a service', () => {
  it.each(CREDENTIAL_NAMES.filter((name) => name !== 'setup'))(
    '(%s) directs no answer to a stream, to JetStream’s API, to another service, or to a runner',
    (name) => {
      const { reply } = getReach(name);
      const others = targets.filter(({ account }) => account !== name).map(({ subject }) => subject);
      const shown = others.flatMap((one) => [one.replace('RUNNER', 'own'), one.replace('RUNNER', 'other')]);
      expect(reply.filter((subject) => shown.includes(subject))).toEqual([]);
      // The positive control: its answers do arrive inside its own account.
      expect(reply).toContain(`_INBOX_${name}.x`);
    },
  );

  it('changes no stream', async () => {
    expect(await readStreams()).toEqual(before);
  });

  it('reaches what the documented matrix says', async () => {
    const page = await formatAccess(targets, reached);
    if (process.env['BATON_RECORD'] !== undefined) writeFileSync(PAGE, page);
    expect(readFileSync(PAGE, 'utf8')).toBe(page);
  });
});
