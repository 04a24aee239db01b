import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { parseConfig } from '../../contracts/lib/load-config.ts';
import { createOperatorSetup } from '../nats/operator.ts';

/**
 * The development cluster's set-up, run once before all else: NATS's operator and accounts, one volume of secrets for each
 * service with its own and nobody else's, and the configuration. Run again, it keeps all keys and secrets.
 */
const ROOT = '/setup';
const USER = 1000;

const folders = {
  /** Seen by this set-up alone. */
  operator: join(ROOT, 'operator'),
  natsConfig: join(ROOT, 'nats-config'),
  natsData: join(ROOT, 'nats-data'),
  temporalData: join(ROOT, 'temporal-data'),
  config: join(ROOT, 'config'),
};
const secrets = (service: string): string => join(ROOT, `secrets-${service}`);

const operator = await createOperatorSetup(folders.operator, { storeDir: '/data' });
mkdirSync(folders.natsConfig, { recursive: true });
cpSync(operator.serverConfigFile, join(folders.natsConfig, 'server.conf'));

for (const service of ['ingress', 'relay', 'orchestrator', 'backend'] as const) {
  mkdirSync(secrets(service), { recursive: true });
  cpSync(operator.credentials[service], join(secrets(service), 'nats.creds'));
}
const webhookSecret = kept('webhook-secret');
const token = `ghp_${kept('token').slice(0, 36)}`;
give('ingress', { BATON_WEBHOOK_SECRET: webhookSecret });
give('orchestrator', { BATON_FORGE_TOKEN: token });
give('backend', { BATON_RUNNER_SIGNING_KEY: operator.runnerSigningKeySeed });
give('simulator', { BATON_WEBHOOK_SECRET: webhookSecret, BATON_FORGE_TOKEN: token });

const template = readFileSync(fileURLToPath(new URL('baton.yaml', import.meta.url)), 'utf8');
const document = parseDocument(template);
document.setIn(['nats', 'account'], operator.accountPublicKey);
// Clusters that share an engine must not share a name: each removes what has its name on it.
const { BATON_INSTALLATION: installation, BATON_NATS_PORT: natsPort, BATON_RUNNER_IMAGE: image } = process.env;
// Whoever has proxies hand jobs over to this cluster: the group for it is like the first one.
const { BATON_PROXY_KEY: proxyKey } = process.env;
const linux = z.object({ groups: z.array(z.record(z.string(), z.unknown())).min(1) });
if (installation) document.setIn(['name'], installation);
if (natsPort) document.setIn(['backends', 'docker', 'nats_url'], `nats://host.docker.internal:${natsPort}`);
if (image) document.setIn(['groups', 0, 'instance', 'image'], image);
if (proxyKey) {
  const proxies = [{ names: ['proxy-1', 'proxy-2'], labels: ['team'], group: 'ephemeral' }];
  document.setIn(['delegation'], { token_keys: [proxyKey], proxies });
  const ephemeral = { ...linux.parse(document.toJS()).groups[0], name: 'ephemeral' };
  document.addIn(['groups'], { ...ephemeral, labels: ['team', 'ephemeral', 'container'] });
}
const config = document.toString();
parseConfig(config, 'baton.yaml');
mkdirSync(folders.config, { recursive: true });
writeFileSync(join(folders.config, 'baton.yaml'), config);

for (const folder of readdirSync(ROOT)) if (folder !== 'operator') own(join(ROOT, folder));
console.log('set up: accounts, credentials, configuration');

/** A random value that stays the same when this runs again. */
function kept(name: string): string {
  const file = join(folders.operator, name);
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function give(service: string, variables: Record<string, string>): void {
  const folder = join(secrets(service), 'env');
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(variables)) writeFileSync(join(folder, name), value, { mode: 0o600 });
}

/** The services run as an ordinary user: what is theirs belongs to that user, and to nobody else. */
function own(path: string, isFolder = true): void {
  chownSync(path, USER, USER);
  chmodSync(path, isFolder ? 0o700 : 0o600);
  if (!isFolder) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) own(join(path, entry.name), entry.isDirectory());
}
