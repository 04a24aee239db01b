import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';

export interface TestConfig {
  nats: string;
  temporal?: string;
  /** Names of the environment variables of webhook secrets. Default WEBHOOK_SECRET. */
  secrets?: string[];
  /** Default: one group `linux` of octo-org with the labels linux and x64. */
  groups?: Record<string, unknown>[];
  delegation?: Record<string, unknown>;
  ingress?: Record<string, unknown>;
  admin?: Record<string, unknown>;
}

/** A group of octo-org on a local backend. */
export function testGroup(name: string, labels: string[], more: Record<string, unknown> = {}): Record<string, unknown> {
  return { name, organization: 'octo-org', labels, backend: 'local', ...more };
}

/** Writes a configuration into that folder and returns its path. */
export function writeConfig(folder: string, config: TestConfig): string {
  const file = join(folder, 'baton.yaml');
  const content = {
    forge: { token: '${FORGE_TOKEN}' },
    webhook: { secrets: (config.secrets ?? ['WEBHOOK_SECRET']).map((name) => `\${${name}}`) },
    temporal: { address: config.temporal ?? '127.0.0.1:1' },
    nats: { url: config.nats },
    backends: { local: { type: 'local' } },
    ...(config.delegation ? { delegation: config.delegation } : {}),
    ...(config.ingress ? { ingress: config.ingress } : {}),
    ...(config.admin ? { admin: config.admin } : {}),
    groups: config.groups ?? [testGroup('linux', ['self-hosted', 'linux', 'x64'])],
  };
  writeFileSync(file, stringify(content));
  return file;
}
