import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The entry point of Baton's image: `entrypoint.ts COMMAND [ARGUMENT…]` with a command of {@link COMMANDS}. It reads the secrets
 * of its service from files and, where it was started as root for the engine's socket, becomes an ordinary user first.
 */

/** Written by the cluster's set-up for this service alone: `nats.creds`, and `env/NAME` with the value of a variable. */
const SECRETS = '/run/baton';
const CONFIG = '/etc/baton/baton.yaml';
const SOCKET = '/var/run/docker.sock';
const USER = 1000;

/** Only the ingress is reached from outside its container; the others answer their own health check. */
const ADMIN_ARGUMENTS = ['--admin-port', '8081', '--config', CONFIG];
const INGRESS_ARGUMENTS = ['--host', '0.0.0.0', '--port', '8080', '--admin-host', '0.0.0.0', ...ADMIN_ARGUMENTS];
const COMMANDS = new Map([
  ['ingress', { file: '../../services/ingress/main.ts', more: INGRESS_ARGUMENTS }],
  ['relay', { file: '../../services/relay/main.ts', more: ADMIN_ARGUMENTS }],
  ['orchestrator', { file: '../../services/orchestrator/main.ts', more: ADMIN_ARGUMENTS }],
  ['backend', { file: '../../services/backend/main.ts', more: ADMIN_ARGUMENTS }],
  ['simulator', { file: '../../services/simulator/main.ts', more: ['--host', '0.0.0.0', '--port', '8080'] }],
  ['setup', { file: './setup.ts', more: [] }],
  ['baton', { file: '../../services/cli/main.ts', more: [] }],
]);

const [name = '', ...given] = process.argv.slice(2);
const command = COMMANDS.get(name);
if (command === undefined) {
  console.error(`unknown command "${name}": use one of ${[...COMMANDS.keys()].join(', ')}`);
  process.exit(64);
}
readSecrets();
if (name !== 'setup') becomeUser();
process.argv.splice(1, process.argv.length - 1, command.file, ...given, ...command.more);
await import(new URL(command.file, import.meta.url).href);

function readSecrets(): void {
  const credentials = join(SECRETS, 'nats.creds');
  if (existsSync(credentials)) process.env['BATON_NATS_CREDENTIALS'] ??= credentials;
  const variables = join(SECRETS, 'env');
  if (!existsSync(variables)) return;
  for (const variable of readdirSync(variables)) {
    process.env[variable] ??= readFileSync(join(variables, variable), 'utf8').trim();
  }
}

/** Root is needed only to find the group of the engine's socket, which differs from machine to machine. */
function becomeUser(): void {
  if (process.getuid?.() !== 0) return;
  process.setgroups?.(existsSync(SOCKET) ? [statSync(SOCKET).gid] : []);
  process.setgid?.(USER);
  process.setuid?.(USER);
}
