import { existsSync } from 'node:fs';
import { loadConfig } from '../../../contracts/lib/load-config.ts';
import type { NatsTls } from '../../../contracts/config/tls.ts';
import { getStateFolder } from '../start/state-folder.ts';

/** Where NATS is and what to say to it. */
export interface NatsAddress {
  url: string;
  tls: NatsTls;
  credentialsFile: string | undefined;
}

/** The configuration's file: as given, else of what `baton start` runs here, else the usual places. */
export function findConfigFile(given: string | undefined): string {
  const state = getStateFolder(process.cwd());
  // What runs here now comes before a file that may describe another place.
  return given ?? (existsSync(state.config) ? state.config : (process.env['BATON_CONFIG'] ?? 'baton.yaml'));
}

/**
 * The NATS of what runs here, or of a configuration.
 *
 * @param role of the credential that `baton start` made: `admin` where something is to be changed
 */
export function findNats(
  config: string | undefined,
  credentials: string | undefined,
  role: 'observer' | 'admin' = 'observer',
): NatsAddress {
  const state = getStateFolder(process.cwd());
  const file = findConfigFile(config);
  const { nats } = loadConfig(file);
  const made = file === state.config && existsSync(state[role]) ? state[role] : undefined;
  return {
    url: nats.url,
    tls: nats.tls,
    credentialsFile: credentials ?? process.env['BATON_NATS_CREDENTIALS'] ?? made ?? nats.credentials,
  };
}
