import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  createAccount,
  createOperator,
  createUser,
  decode,
  encodeOperator,
  encodeUser,
  fmtCreds,
  type KeyPair,
  type Operator,
} from '@nats-io/jwt';
import { z } from 'zod';
import {
  DISK_BYTES,
  encodeAccounts,
  getAccountName,
  mapAccounts,
  MEMORY_BYTES,
  type AccountKeys,
  type AccountName,
} from './accounts.ts';
import { loadKeyPair, writeSecret } from './key-files.ts';
import { getPermissions, CREDENTIAL_NAMES, type CredentialName } from './permissions.ts';

const DAY_S = 24 * 3600;
const DEFAULT_DAYS = 365;

export interface OperatorSetup {
  /** For `nats-server --config`: operator mode, all accounts, JetStream. */
  serverConfigFile: string;
  /** A…: the account of the runners. */
  runnerAccountPublicKey: string;
  /** SA…: can sign the credentials of runners only. A secret, for backend workers alone. */
  runnerSigningKeySeed: string;
  /** Paths of the credentials files, mode 0600. */
  credentials: Record<CredentialName, string>;
  /** When the credentials end. */
  expiresAt: Date;
}

export interface OperatorOptions {
  /** Where JetStream stores its messages. Default: `jetstream` in `dir`. */
  storeDir?: string | undefined;
  /** How long the credentials are valid from now. Default 365 days. */
  expiresInS?: number | undefined;
  /** Credentials that nobody may use any longer get a new key; `runners`: the key that signs the credentials of all runners. */
  revoke?: readonly (CredentialName | 'runners')[] | undefined;
}

const revokedUsers = z.record(z.string(), z.number());

/**
 * Creates everything for a NATS server in operator mode under `dir`: the operator, a system account, accounts for the streams, for
 * runners and for each service ({@link ./accounts.ts}), credentials that allow only what their service does, and a scoped signing key
 * with which backend workers sign runners' credentials: the account, not the signer, limits those to the runner's own subjects. Called again, it
 * uses the same keys, so that credentials in use stay valid, and writes credentials that are valid for longer. After a revocation the
 * server must read its configuration again (`nats-server --signal reload`): it disconnects whoever uses a revoked credential.
 *
 * @param dir is created with mode 0700; contains secrets
 */
export async function createOperatorSetup(dir: string, options: OperatorOptions = {}): Promise<OperatorSetup> {
  const root = resolve(dir);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  chmodSync(root, 0o700);
  const revocations = revoke(root, options.revoke ?? []);
  const keys: AccountKeys = {
    operator: loadKeyPair(join(root, 'operator.nk'), createOperator),
    system: loadKeyPair(join(root, 'system.nk'), createAccount),
    accounts: mapAccounts((name) => loadKeyPair(getAccountKeyFile(root, name), createAccount)),
    runnerSigner: loadKeyPair(join(root, 'runner-signing.nk'), createAccount),
  };
  const system = keys.system.getPublicKey();
  const operatorJwt = await loadOperator(join(root, 'operator.jwt'), keys.operator, system);
  const accounts = await encodeAccounts(keys, revocations);

  const expires = Math.floor(Date.now() / 1000) + (options.expiresInS ?? DEFAULT_DAYS * DAY_S);
  const credentials = { setup: '', ingress: '', relay: '', orchestrator: '', backend: '', observer: '', admin: '' };
  for (const name of CREDENTIAL_NAMES) {
    const user = loadKeyPair(join(root, `${name}.nk`), createUser);
    const account = keys.accounts[getAccountName(name)];
    const jwt = await encodeUser(name, user, account, getPermissions(name), { exp: expires });
    credentials[name] = join(root, `${name}.creds`);
    writeSecret(credentials[name], fmtCreds(jwt, user));
  }

  const serverConfigFile = join(root, 'server.conf');
  const storeDir = resolve(options.storeDir ?? join(root, 'jetstream'));
  writeSecret(
    serverConfigFile,
    `operator: ${operatorJwt}
system_account: ${system}
resolver: MEMORY
resolver_preload: {
${[...accounts].map(([key, jwt]) => `  ${key.getPublicKey()}: ${jwt}`).join('\n')}
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
    runnerAccountPublicKey: keys.accounts.runners.getPublicKey(),
    runnerSigningKeySeed: new TextDecoder().decode(keys.runnerSigner.getSeed()),
    credentials,
    expiresAt: new Date(expires * 1000),
  };
}

/** The operator's own JWT is made once: a server that reads its configuration again refuses one that differs in any byte. */
async function loadOperator(file: string, key: KeyPair, system: string): Promise<string> {
  if (existsSync(file)) {
    const jwt = readFileSync(file, 'utf8');
    const { sub, nats } = decode<Operator>(jwt);
    if (sub === key.getPublicKey() && nats.system_account === system) return jwt;
  }
  const jwt = await encodeOperator('baton', key, { system_account: system });
  writeSecret(file, jwt);
  return jwt;
}

/** The file of an account's key. */
export function getAccountKeyFile(dir: string, name: AccountName): string {
  return join(dir, `${name}-account.nk`);
}

/** Removes the keys of revoked credentials. @returns the public keys that are revoked by now, and since when */
function revoke(root: string, names: readonly (CredentialName | 'runners')[]): Record<string, number> {
  const file = join(root, 'revoked.json');
  const revoked = existsSync(file) ? revokedUsers.parse(JSON.parse(readFileSync(file, 'utf8'))) : {};
  for (const name of names) {
    const keyFile = join(root, `${name === 'runners' ? 'runner-signing' : name}.nk`);
    if (!existsSync(keyFile)) continue;
    if (name !== 'runners') {
      const user = loadKeyPair(keyFile, createUser);
      revoked[user.getPublicKey()] = Math.floor(Date.now() / 1000);
      // First what revokes it: without its key, it could not be revoked any more.
      writeSecret(file, JSON.stringify(revoked));
    }
    rmSync(keyFile);
  }
  return revoked;
}
