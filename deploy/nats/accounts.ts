import {
  encodeAccount,
  encodeActivation,
  newScopedSigner,
  type Export,
  type Import,
  type KeyPair,
  type RevocationList,
  type SigningKey,
} from '@nats-io/jwt';
import { subjects } from '../../contracts/messages/subjects.ts';
import { covers, widen } from './subject-sets.ts';
import {
  CREDENTIAL_NAMES,
  getAccess,
  RESPONSE_TIMEOUT_NS,
  RUNNER_ACCESS,
  runnerPermissions,
  type Access,
  type CredentialName,
} from './permissions.ts';

const GIB = 1024 ** 3;
/** Limits of messages, subscriptions and bytes: -1 is none. */
const NONE = -1;
/**
 * More than the maximum of all streams (contracts/messages/streams.ts) and of the largest one again: NATS reserves the maximum of a
 * stream when it creates it, and once more when it is asked to create it again.
 */
export const DISK_BYTES = 8 * GIB;
export const MEMORY_BYTES = GIB / 4;
/** Requests with more than one answer: to pull messages, to read many, and what every process of a service answers. */
const MANY_ANSWERS = ['$JS.API.CONSUMER.MSG.NEXT.', '$JS.API.DIRECT.GET.', subjects.apply('')];

/** Whoever has a credential of Baton's has an account of its own; all runners share one. `setup` uses that of the streams. */
export const ACCOUNT_NAMES = ['streams', 'runners', ...CREDENTIAL_NAMES.filter((name) => name !== 'setup')] as const;
export type AccountName = (typeof ACCOUNT_NAMES)[number];

/** Something for each account. */
export function mapAccounts<Value>(make: (name: AccountName) => Value): Record<AccountName, Value> {
  return {
    streams: make('streams'),
    runners: make('runners'),
    ingress: make('ingress'),
    relay: make('relay'),
    orchestrator: make('orchestrator'),
    backend: make('backend'),
    observer: make('observer'),
    admin: make('admin'),
  };
}

/** The keys of the accounts. */
export interface AccountKeys {
  operator: KeyPair;
  system: KeyPair;
  accounts: Record<AccountName, KeyPair>;
  /** Signs the credentials of runners. */
  runnerSigner: KeyPair;
}

/** The account of a credential. */
export function getAccountName(credential: CredentialName): AccountName {
  return credential === 'setup' ? 'streams' : credential;
}

/**
 * The accounts, signed by the operator. NATS checks the subject of a message but not its reply subject, to which JetStream and
 * services send their answers: a client can have an answer, or a value that it wrote before, delivered to any subject of its own
 * account, and on through what that account imports. So each credential has an account of its own, which imports what that credential
 * may publish and nothing else: whatever it has delivered by others, it could have published itself. The streams have an account
 * without any client but the set-up.
 *
 * @param revocations public keys of users, with the time (seconds since 1970) before which their credentials were issued
 */
export async function encodeAccounts(keys: AccountKeys, revocations: RevocationList): Promise<Map<KeyPair, string>> {
  const sign = { signer: keys.operator };
  const encoded = new Map<KeyPair, string>();
  const system = { limits: createLimits(0, 0) };
  encoded.set(keys.system, await encodeAccount('SYS', keys.system, system, sign));
  for (const name of ACCOUNT_NAMES) {
    const key = keys.accounts[name];
    const claims = {
      limits: name === 'streams' ? createLimits(MEMORY_BYTES, DISK_BYTES) : createLimits(0, 0),
      exports: listExports(name),
      imports: await listImports(keys, name),
      ...(name === 'runners' ? { signing_keys: [createRunnerSigner(keys.runnerSigner)] } : { revocations }),
    };
    encoded.set(key, await encodeAccount(name.toUpperCase(), key, claims, sign));
  }
  return encoded;
}

function createRunnerSigner(key: KeyPair): SigningKey {
  return newScopedSigner(key, 'runner', {
    ...runnerPermissions,
    // An agent and its hooks: a connection's inbox, and messages with a log tail of 8 kB.
    subs: 10,
    payload: 64 * 1024,
    data: NONE,
    allowed_connection_types: ['STANDARD'],
  });
}

/** What the clients of an account may do. The set-up's own API calls need no import: it is in the account of the streams. */
function readAccess(name: AccountName): Access | undefined {
  if (name === 'streams') return undefined;
  return name === 'runners' ? RUNNER_ACCESS : getAccess(name);
}

function listExports(name: AccountName): Export[] {
  const access = readAccess(name);
  if (access === undefined) {
    const used = ACCOUNT_NAMES.flatMap((account) => readAccess(account)?.streams ?? []);
    return widen(used).map((subject) => toExport(subject, 'service'));
  }
  return [
    ...access.answers.map((subject) => toExport(subject, 'service')),
    ...access.sends.map((subject) => toExport(subject, 'stream')),
  ];
}

async function listImports({ accounts }: AccountKeys, name: AccountName): Promise<Import[]> {
  const access = readAccess(name);
  if (access === undefined) return [];
  const toImport = async (subject: string, type: 'service' | 'stream', from: AccountName): Promise<Import> => ({
    name: subject,
    subject,
    type,
    account: accounts[from].getPublicKey(),
    token: await encodeActivation(subject, accounts[name], accounts[from], type, { subject }),
  });
  return await Promise.all([
    ...access.streams.map((subject) => toImport(subject, 'service', 'streams')),
    ...access.requests.map((subject) => toImport(subject, 'service', findOwner('answers', subject))),
    ...access.receives.map((subject) => toImport(subject, 'stream', findOwner('sends', subject))),
  ]);
}

/** @returns the account whose service answers a request, or sends a message */
function findOwner(does: 'answers' | 'sends', subject: string): AccountName {
  const owner = CREDENTIAL_NAMES.find((name) => getAccess(name)[does].some((one) => covers(one, subject)));
  if (owner === undefined) throw new Error(`nobody ${does} ${subject}`);
  return getAccountName(owner);
}

function toExport(subject: string, type: 'service' | 'stream'): Export {
  // Only an account with an activation may import it.
  const common = { name: subject, subject, type, token_req: true };
  if (type === 'stream') return common;
  const isMany = MANY_ANSWERS.some((prefix) => subject.startsWith(prefix));
  return { ...common, response_type: isMany ? 'Stream' : 'Singleton', response_threshold: RESPONSE_TIMEOUT_NS };
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
    streams: disk === 0 ? 0 : NONE,
    consumer: disk === 0 ? 0 : NONE,
  };
}
