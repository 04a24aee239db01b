import { parseArgs } from 'node:util';
import { createLogger } from '../../contracts/lib/log.ts';
import type { HookKind } from './settings.ts';
import { startSimulator } from './simulator.ts';

const USAGE = `node services/simulator/main.ts [options]
  --host 127.0.0.1            address to listen on
  --port 0                    0: a free port
  --public-url URL            address at which runners reach the simulator
  --repository owner/name     may be repeated; default octo-org/demo
  --webhook-url URL           receiver of webhooks
  --webhook-secret-env NAME   environment variable with the webhook secret
  --webhook-kind KIND         app, organization or repository
  --token-env NAME            environment variable with the accepted personal access token
  --app-id N                  id of the GitHub App
  --app-public-key-env NAME   environment variable with the App's public key (PEM)
  --seed 1                    seed of all random choices`;

const log = createLogger('simulator');

/** A required environment variable. */
function readVariable(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`environment variable ${name} is not set`);
  return value;
}

function parseHookKind(text: string | undefined): HookKind | undefined {
  if (text === undefined || text === 'app' || text === 'organization' || text === 'repository') return text;
  throw new Error(`--webhook-kind ${text}: expected app, organization or repository`);
}

try {
  const { values } = parseArgs({
    options: {
      host: { type: 'string' },
      port: { type: 'string', default: '0' },
      'public-url': { type: 'string' },
      repository: { type: 'string', multiple: true },
      'webhook-url': { type: 'string' },
      'webhook-secret-env': { type: 'string' },
      'webhook-kind': { type: 'string' },
      'token-env': { type: 'string' },
      'app-id': { type: 'string' },
      'app-public-key-env': { type: 'string' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    process.exit(0);
  }
  const token = readVariable(values['token-env']);
  const publicKey = readVariable(values['app-public-key-env']);
  const simulator = await startSimulator({
    host: values.host,
    port: Number(values.port),
    publicUrl: values['public-url'],
    repositories: values.repository,
    seed: Number(values.seed),
    tokens: token === undefined ? undefined : [token],
    app: publicKey === undefined ? undefined : { id: Number(values['app-id'] ?? 1), publicKey },
    webhook:
      values['webhook-url'] === undefined
        ? undefined
        : {
            url: values['webhook-url'],
            secret: readVariable(values['webhook-secret-env']) ?? '',
            kind: parseHookKind(values['webhook-kind']),
          },
  });
  log.info({ address: simulator.address }, 'ready');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      void simulator.close().then(() => process.exit(0));
    });
  }
} catch (error) {
  log.fatal({ err: error }, 'cannot start the simulator');
  process.exit(1);
}
