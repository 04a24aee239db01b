import { parseArgs } from 'node:util';
import { createLogger } from '../../contracts/lib/log.ts';
import type { HookKind } from './settings.ts';
import { startSimulator } from './simulator.ts';

const USAGE = `node services/simulator/main.ts [options]
  --host 127.0.0.1            where to listen
  --port 0                    0: a free port
  --public-url URL            the address as runners reach it
  --repository owner/name     once or more; default octo-org/demo
  --webhook-url URL           where webhooks go
  --webhook-secret-env NAME   variable that holds the webhook secret
  --webhook-kind KIND         app, organization or repository
  --token-env NAME            variable that holds the accepted personal access token
  --app-id N                  the GitHub App's id …
  --app-public-key-env NAME   … and the variable that holds its public key (PEM)
  --seed 1                    of all chance`;

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
  log.fatal({ err: error }, 'the simulator could not start');
  process.exit(1);
}
