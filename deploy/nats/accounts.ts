import {
  encodeAccount,
  encodeActivation,
  newScopedSigner,
  type Export,
  type Import,
  type KeyPair,
  type RevocationList,
} from '@nats-io/jwt';
import { listStreamImports, runnerPermissions, RUNNER_IMPORTS } from './permissions.ts';

const GIB = 1024 ** 3;
/** Limits of messages, subscriptions and bytes: -1 is none. */
const NONE = -1;
/**
 * More than the maximum of all streams (contracts/messages/streams.ts) and of the largest one again: NATS reserves the maximum of a
 * stream when it creates it, and once more when it is asked to create it again.
 */
export const DISK_BYTES = 8 * GIB;
export const MEMORY_BYTES = GIB / 4;
/** A registration may take as long as the forge's rate limit: see {@link ./permissions.ts}. */
const RESPONSE_THRESHOLD_NS = 120_000_000_000;
/** Requests with more than one answer: to pull messages, and to read many. */
const MANY_ANSWERS = ['$JS.API.CONSUMER.MSG.NEXT.', '$JS.API.DIRECT.GET.'];

/** The keys of the accounts. */
export interface AccountKeys {
  operator: KeyPair;
  system: KeyPair;
  /** Has the streams, and no client but the set-up. */
  streams: KeyPair;
  services: KeyPair;
  runners: KeyPair;
  /** Signs the credentials of runners. */
  runnerSigner: KeyPair;
}

/**
 * The accounts, signed by the operator. NATS checks the subject of a message but not its reply subject, to which JetStream and
 * services send their answers: a client can have an answer delivered anywhere in its own account, and a value that it wrote before,
 * too. What is delivered that way goes through no import. So the streams have an account without such a client: services import from
 * it what they do with streams. Runners have an account that imports what runners may publish, and nothing else.
 *
 * @param revocations public keys of users, with the time (seconds since 1970) before which their credentials were issued
 */
export async function encodeAccounts(keys: AccountKeys, revocations: RevocationList): Promise<Map<KeyPair, string>> {
  const { operator, system, streams, services, runners, runnerSigner } = keys;
  const sign = { signer: operator };
  const signer = newScopedSigner(runnerSigner, 'runner', {
    ...runnerPermissions,
    // An agent and its hooks: a connection's inbox, and messages with a log tail of 8 kB.
    subs: 10,
    payload: 64 * 1024,
    data: NONE,
    allowed_connection_types: ['STANDARD'],
  });
  const used = listStreamImports();
  const shared = [...new Set([...used, ...RUNNER_IMPORTS.streams])];
  const limits = createLimits(0, 0);
  const accounts = {
    SYS: { key: system, claims: { limits } },
    STREAMS: {
      key: streams,
      claims: { limits: createLimits(MEMORY_BYTES, DISK_BYTES), exports: shared.map(toExport), revocations },
    },
    SERVICES: {
      key: services,
      claims: {
        limits,
        exports: RUNNER_IMPORTS.services.map(toExport),
        imports: await importFrom(streams, services, used),
        revocations,
      },
    },
    RUNNERS: {
      key: runners,
      claims: {
        limits,
        imports: [
          ...(await importFrom(streams, runners, RUNNER_IMPORTS.streams)),
          ...(await importFrom(services, runners, RUNNER_IMPORTS.services)),
        ],
        signing_keys: [signer],
      },
    },
  };
  const encoded = new Map<KeyPair, string>();
  for (const [name, { key, claims }] of Object.entries(accounts)) {
    encoded.set(key, await encodeAccount(name, key, claims, sign));
  }
  return encoded;
}

function toExport(subject: string): Export {
  const isMany = MANY_ANSWERS.some((prefix) => subject.startsWith(prefix));
  return {
    ...toService(subject),
    // Only an account with an activation may import it.
    token_req: true,
    response_type: isMany ? 'Stream' : 'Singleton',
    response_threshold: RESPONSE_THRESHOLD_NS,
  };
}

async function importFrom(from: KeyPair, to: KeyPair, subjects: readonly string[]): Promise<Import[]> {
  return await Promise.all(
    subjects.map(async (subject) => ({
      ...toService(subject),
      account: from.getPublicKey(),
      token: await encodeActivation(subject, to, from, 'service', { subject }),
    })),
  );
}

function toService(subject: string): { name: string; subject: string; type: 'service' } {
  return { name: subject, subject, type: 'service' };
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
