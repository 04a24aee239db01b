import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { parseConfig } from '../../contracts/lib/load-config.ts';
import { createOperatorSetup } from '../nats/operator.ts';

/**
 * The set-up of the development cluster, which runs once before everything else: NATS's operator and accounts, for each service
 * a volume with its own secrets and no others, and the configuration. A second run changes no key and no secret.
 */
const ROOT = '/setup';
const USER = 1000;

const folders = {
  /** Visible to this set-up alone. */
  operator: join(ROOT, 'operator'),
  natsConfig: join(ROOT, 'nats-config'),
  natsData: join(ROOT, 'nats-data'),
  temporalData: join(ROOT, 'temporal-data'),
  config: join(ROOT, 'config'),
};
const secretsFolder = (service: string): string => join(ROOT, `secrets-${service}`);

const operator = await createOperatorSetup(folders.operator, { storeDir: '/data' });
mkdirSync(folders.natsConfig, { recursive: true });
cpSync(operator.serverConfigFile, join(folders.natsConfig, 'server.conf'));

for (const service of ['setup', 'ingress', 'relay', 'orchestrator', 'backend'] as const) {
  mkdirSync(secretsFolder(service), { recursive: true });
  cpSync(operator.credentials[service], join(secretsFolder(service), 'nats.creds'));
}
const webhookSecret = loadOrCreate('webhook-secret');
const token = `ghp_${loadOrCreate('token').slice(0, 36)}`;
writeVariables('ingress', { BATON_WEBHOOK_SECRET: webhookSecret });
writeVariables('orchestrator', { BATON_FORGE_TOKEN: token });
writeVariables('backend', { BATON_RUNNER_SIGNING_KEY: operator.runnerSigningKeySeed });
writeVariables('simulator', { BATON_WEBHOOK_SECRET: webhookSecret, BATON_FORGE_TOKEN: token });

const template = readFileSync(fileURLToPath(new URL('baton.yaml', import.meta.url)), 'utf8');
const document = parseDocument(template);
document.setIn(['nats', 'account'], operator.runnerAccountPublicKey);
// Clusters that share an engine need different names: each removes the containers labelled with its name.
const { BATON_INSTALLATION: installation, BATON_NATS_PORT: natsPort, BATON_RUNNER_IMAGE: image } = process.env;
// Where proxies hand jobs over to this cluster: the group for these jobs is a copy of the first one.
const { BATON_PROXY_KEY: proxyKey } = process.env;
const linux = z.object({ groups: z.array(z.record(z.string(), z.unknown())).min(1) });
if (installation) document.setIn(['name'], installation);
if (natsPort) document.setIn(['backends', 'docker', 'nats_url'], `nats://host.docker.internal:${natsPort}`);
const { BATON_IMAGE: batonImage, BATON_SIMULATOR_PORT: simulatorPort } = process.env;
if (batonImage) document.setIn(['backends', 'docker', 'filter_image'], batonImage);
if (simulatorPort) document.setIn(['backends', 'docker', 'allow_host_ports'], [Number(simulatorPort)]);
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

for (const folder of readdirSync(ROOT)) if (folder !== 'operator') setOwner(join(ROOT, folder));
console.log('set-up finished: accounts, credentials, configuration');

/** A random value that stays the same in later runs. */
function loadOrCreate(name: string): string {
  const file = join(folders.operator, name);
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function writeVariables(service: string, variables: Record<string, string>): void {
  const folder = join(secretsFolder(service), 'env');
  mkdirSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(variables)) writeFileSync(join(folder, name), value, { mode: 0o600 });
}

/** The services run as an ordinary user, who alone may read their files. */
function setOwner(path: string, isFolder = true): void {
  chownSync(path, USER, USER);
  chmodSync(path, isFolder ? 0o700 : 0o600);
  if (!isFolder) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) setOwner(join(path, entry.name), entry.isDirectory());
}
