import { join } from 'node:path';
import type { ClusterOptions } from './cluster-options.ts';

export interface ClusterConfigParts {
  /** What stands for these names in the options' `config`. */
  names: Record<string, string>;
  installation: string;
  /** `access`: how the cluster signs in there, a part of `forge:`. */
  forge: { url: string; access: string };
  hookUrl: string;
  temporal: { address: string; uiUrl: string | undefined };
  /** `folder`: with its certificate, where it has TLS. */
  nats: { url: string; account: string; folder: string };
}

/** The text of a cluster's baton.yaml. */
export function formatClusterConfig(options: ClusterOptions, parts: ClusterConfigParts): string {
  const { installation, forge, hookUrl, temporal, nats } = parts;
  let { config } = options;
  for (const [name, value] of Object.entries(parts.names)) config = config.replaceAll(name, value);
  // Baton keeps the limit that its forge has.
  const points = options.simulator?.limits?.secondaryPoints;
  return `
name: ${installation}
forge:
  url: ${forge.url}
  ${forge.access}${points === undefined ? '' : `\n  points_per_minute: ${points}`}
webhook:
  secrets: ["\${E2E_WEBHOOK_SECRET}"]
  url: ${hookUrl}
temporal:
  address: ${temporal.address}${temporal.uiUrl ? `\n  ui_url: ${temporal.uiUrl}` : ''}
nats:
  url: ${nats.url}${options.tls ? `\n  tls: { ca: ${join(nats.folder, 'tls.crt')} }` : ''}
  account: ${nats.account}
  runner_signing_key: \${E2E_SIGNING_KEY}
${config}
`;
}
