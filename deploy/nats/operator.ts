import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  createAccount,
  createOperator,
  createUser,
  encodeAccount,
  encodeOperator,
  encodeUser,
  fmtCreds,
  fromSeed,
  newScopedSigner,
  type KeyPair,
} from '@nats-io/jwt';
import { runnerPermissions, getPermissions, CREDENTIAL_NAMES, type CredentialName } from './permissions.ts';

export interface OperatorSetup {
  /** For `nats-server --config`: operator mode, both accounts, JetStream. */
  serverConfigFile: string;
  /** A…: the account that services and runners belong to. */
  accountPublicKey: string;
  /** SA…: can sign the credentials of runners only. A secret, for backend workers alone. */
  runnerSigningKeySeed: string;
  /** Paths of the credentials files, mode 0600. */
  credentials: Record<CredentialName, string>;
}

export interface OperatorOptions {
  /** Where JetStream stores its messages. Default: `jetstream` in `dir`. */
  storeDir?: string | undefined;
}

const GIB = 1024 ** 3;
/** Limits of messages, subscriptions and bytes: -1 is none. */
const NONE = -1;
/**
 * More than the maximum of all streams (contracts/messages/streams.ts) and of the largest one again: NATS reserves the maximum of a
 * stream when it creates it, and once more when it is asked to create it again.
 */
const DISK_BYTES = 8 * GIB;
const MEMORY_BYTES = GIB / 4;

/**
 * Creates everything for a NATS server in operator mode under `dir`: the operator, a system account, the account BATON with
 * JetStream, credentials for each service that allow only what it does, and a scoped signing key with which backend workers sign
 * runners' credentials: the account, not the signer, limits those to the runner's own subjects. Called again, it uses the same
 * keys, and credentials in use stay valid.
 *
 * @param dir is created with mode 0700; contains secrets
 */
export async function createOperatorSetup(dir: string, options: OperatorOptions = {}): Promise<OperatorSetup> {
  const root = resolve(dir);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  chmodSync(root, 0o700);
  const operator = loadKeyPair(join(root, 'operator.nk'), createOperator);
  const system = loadKeyPair(join(root, 'system.nk'), createAccount);
  const account = loadKeyPair(join(root, 'account.nk'), createAccount);
  const signer = loadKeyPair(join(root, 'runner-signing.nk'), createAccount);

  const operatorJwt = await encodeOperator('baton', operator, { system_account: system.getPublicKey() });
  const systemJwt = await encodeAccount('SYS', system, { limits: createLimits(0, 0) }, { signer: operator });
  const runners = newScopedSigner(signer, 'runner', {
    ...runnerPermissions,
    // An agent and its hooks: a connection's inbox, and messages with a log tail of 8 kB.
    subs: 10,
    payload: 64 * 1024,
    data: NONE,
    allowed_connection_types: ['STANDARD'],
  });
  const accountJwt = await encodeAccount(
    'BATON',
    account,
    { limits: createLimits(MEMORY_BYTES, DISK_BYTES), signing_keys: [runners] },
    { signer: operator },
  );

  const credentials = { ingress: '', relay: '', orchestrator: '', backend: '', observer: '', admin: '' };
  for (const service of CREDENTIAL_NAMES) {
    const user = loadKeyPair(join(root, `${service}.nk`), createUser);
    const jwt = await encodeUser(service, user, account, getPermissions(service));
    credentials[service] = join(root, `${service}.creds`);
    writeSecret(credentials[service], fmtCreds(jwt, user));
  }

  const serverConfigFile = join(root, 'server.conf');
  const storeDir = resolve(options.storeDir ?? join(root, 'jetstream'));
  writeSecret(
    serverConfigFile,
    `operator: ${operatorJwt}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: {
  ${system.getPublicKey()}: ${systemJwt}
  ${account.getPublicKey()}: ${accountJwt}
}
jetstream: {
  store_dir: ${JSON.stringify(storeDir)}
  max_memory_store: ${MEMORY_BYTES}
  max_file_store: ${DISK_BYTES}
}
`,
  );
  return {
    serverConfigFile,
    accountPublicKey: account.getPublicKey(),
    runnerSigningKeySeed: new TextDecoder().decode(signer.getSeed()),
    credentials,
  };
}

function createLimits(memory: number, disk: number) {
  return {
    data: NONE,
    payload: NONE,
    subs: NONE,
    imports: NONE,
    exports: NONE,
    wildcards: true,
    conn: NONE,
    leaf: 0,
    disallow_bearer: true,
    mem_storage: memory,
    disk_storage: disk,
    streams: NONE,
    consumer: NONE,
  };
}

/** The key in `file`; without that file a new key, which is written to it. */
function loadKeyPair(file: string, create: () => KeyPair): KeyPair {
  if (existsSync(file)) return fromSeed(new TextEncoder().encode(readFileSync(file, 'utf8').trim()));
  const key = create();
  writeSecret(file, key.getSeed());
  return key;
}

/** Replaces the file in one step, so that no process reads half of it; only this user may read it. */
function writeSecret(file: string, content: string | Uint8Array): void {
  const next = `${file}.${process.pid}`;
  writeFileSync(next, content, { mode: 0o600 });
  renameSync(next, file);
}
