import { existsSync } from 'node:fs';
import type { z } from 'zod';
import { loadConfig } from '../../../contracts/lib/load-config.ts';
import type { NatsTls } from '../../../contracts/config/tls.ts';
import { getStateFolder } from '../start/state-folder.ts';
import type { natsOptions } from './options.ts';

/** Of the credentials that `baton start` makes: `admin` may also change things. */
export type NatsRole = 'observer' | 'admin';

/** Where NATS is, and how to log in. */
export interface NatsAddress {
  url: string;
  tls: NatsTls;
  credentialsFile: string | undefined;
}

/** The configuration file: the given one, else that of the `baton start` in this folder, else BATON_CONFIG or baton.yaml. */
export function findConfigFile(given: string | undefined): string {
  const state = getStateFolder(process.cwd());
  // What runs here comes before the environment and baton.yaml, which may describe another installation.
  return given ?? (existsSync(state.config) ? state.config : (process.env['BATON_CONFIG'] ?? 'baton.yaml'));
}

/** The NATS of the `baton start` in this folder, or of a configuration. @throws BatonError CONFIG_* */
export function findNats({ config, credentials }: z.infer<typeof natsOptions>, role: NatsRole): NatsAddress {
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
