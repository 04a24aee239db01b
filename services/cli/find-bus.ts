import { existsSync } from 'node:fs';
import { loadConfig } from '../../contracts/config/load.ts';
import type { NatsTls } from '../../contracts/config/tls.ts';
import { stateFolder } from './start/state-folder.ts';

/** Where NATS is and what to say to it. */
export interface BusAddress {
  url: string;
  tls: NatsTls;
  credentialsFile: string | undefined;
}

/** The NATS of what runs here, or of a configuration. */
export function findBus(config: string | undefined, credentials: string | undefined): BusAddress {
  const state = stateFolder(process.cwd());
  // What runs here now comes before a file that may describe another place.
  const file = config ?? (existsSync(state.config) ? state.config : (process.env['BATON_CONFIG'] ?? 'baton.yaml'));
  const { nats } = loadConfig(file);
  const made = file === state.config && existsSync(state.observer) ? state.observer : undefined;
  return {
    url: nats.url,
    tls: nats.tls,
    credentialsFile: credentials ?? process.env['BATON_NATS_CREDENTIALS'] ?? made ?? nats.credentials,
  };
}
