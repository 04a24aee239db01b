import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { Option, type Command } from 'commander';
import { z } from 'zod';
import { connectBus } from '../../../contracts/lib/nats.ts';
import { hashPassword } from '../../../contracts/lib/password-hash.ts';
import { loadConfig } from '../../../contracts/lib/load-config.ts';
import { duration } from '../../../contracts/config/duration.ts';
import { createOperatorSetup } from '../../../deploy/nats/operator.ts';
import { CREDENTIAL_NAMES, type CredentialName } from '../../../deploy/nats/permissions.ts';
import { setUpBus } from '../../../deploy/nats/set-up-bus.ts';
import { findConfigFile } from '../lib/find-nats.ts';
import { parseOptions, UsageError } from '../lib/options.ts';
import { print } from '../lib/print.ts';

const PASSWORD_VARIABLE = 'BATON_STATUS_PASSWORD_HASH';
const REPLICAS = ['1', '3', '5'] as const;
const REVOCABLE = [...CREDENTIAL_NAMES, 'runners'] as const;

const busOptions = z.object({
  config: z.string().optional(),
  credentials: z.string().optional(),
  replicas: z.enum(REPLICAS).transform(Number),
});

const accountOptions = z.object({
  store: z.string().optional(),
  lifetime: duration,
  revoke: z.array(z.enum(REVOCABLE)).default([]),
});

/** `baton setup nats`, `baton setup accounts` and `baton setup password`. */
export function addSetupCommands(program: Command): void {
  const setup = program.command('setup').description('Prepare NATS for an installation.');
  setup
    .command('accounts')
    .description(
      'Create an operator, accounts, and a credential for each service; run again, replace the credentials by newer ones.',
    )
    .argument('<folder>', 'where to write them; contains secrets')
    .option('--store <folder>', 'where the NATS server stores messages (default: jetstream in that folder)')
    .option('--lifetime <duration>', 'how long the credentials are valid', '365d')
    .addOption(
      new Option('--revoke <name...>', 'replace the key of a credential that nobody may use any longer').choices(
        REVOCABLE,
      ),
    )
    .action(async (folder: string, options: unknown) => {
      process.exitCode = await createAccounts(folder, options);
    });
  setup
    .command('nats')
    .description('Create the streams, buckets and consumers, or change them to what this version of Baton expects.')
    .option('--config <file>', 'configuration with the address of NATS (default: BATON_CONFIG, else baton.yaml)')
    .option('--credentials <file>', 'the credential `setup` (default: BATON_NATS_CREDENTIALS)')
    .addOption(
      new Option('--replicas <n>', 'copies of each message in a cluster of NATS').choices(REPLICAS).default('1'),
    )
    .action(async (options: unknown) => {
      process.exitCode = await setUpNats(options);
    });
  setup
    .command('password')
    .description('Make a password for the status page; print it and its hash.')
    .option('--stdin', 'read your own password from standard input instead')
    .action(async (options: unknown) => {
      process.exitCode = await setUpPassword(options);
    });
}

/** What each credential is for. */
const USERS: Record<CredentialName, string> = {
  setup: '`baton setup nats`, after each upgrade',
  ingress: 'the ingress',
  relay: 'the relays',
  orchestrator: 'the orchestrators',
  backend: 'the backend workers',
  observer: 'people: `baton status`, `audit`, `explain`, `health`, `cost`',
  admin: 'people who may also pause, drain and apply',
};

async function createAccounts(folder: string, given: unknown): Promise<number> {
  const { store, lifetime, revoke } = parseOptions(accountOptions, given);
  const made = await createOperatorSetup(folder, { storeDir: store, expiresInS: Math.floor(lifetime / 1000), revoke });
  print(`nats-server --config ${made.serverConfigFile}`);
  for (const name of CREDENTIAL_NAMES) print(`  ${made.credentials[name]}  for ${USERS[name]}`);
  print(`nats.account in the configuration: ${made.runnerAccountPublicKey}`);
  print(`nats.runner_signing_key, for the backend workers alone: in ${folder}/runner-signing.nk`);
  print(`The credentials are valid until ${made.expiresAt.toISOString().slice(0, 10)}; run this again before.`);
  if (revoke.length > 0) {
    print('Revoked credentials end when the server reads its configuration again: nats-server --signal reload');
  }
  return 0;
}

/** @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED */
async function setUpNats(given: unknown): Promise<number> {
  const { config, credentials, replicas } = parseOptions(busOptions, given);
  const { nats } = loadConfig(findConfigFile(config));
  const bus = await connectBus({
    url: nats.url,
    tls: nats.tls,
    name: 'baton setup',
    credentialsFile: credentials ?? process.env['BATON_NATS_CREDENTIALS'] ?? nats.credentials,
    waitForServer: false,
  });
  try {
    const streams = await setUpBus(bus, { replicas });
    print(`NATS at ${bus.getServer()} is set up: ${streams.join(', ')}`);
    return 0;
  } finally {
    await bus.close();
  }
}

/** @throws UsageError for a password of less than 12 characters */
async function setUpPassword(given: unknown): Promise<number> {
  const { stdin } = parseOptions(z.object({ stdin: z.boolean().default(false) }), given);
  const password = stdin ? (await text(process.stdin)).replace(/\r?\n$/, '') : randomBytes(18).toString('base64url');
  if (password.length < 12) throw new UsageError('the password must have at least 12 characters');
  if (!stdin) print(`password: ${password}`);
  print(`${PASSWORD_VARIABLE}=${await hashPassword(password)}`);
  print(`in the configuration: admin: { password_hash: '\${${PASSWORD_VARIABLE}}' }; the ingress needs the variable`);
  return 0;
}
