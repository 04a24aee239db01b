import { writeFileSync } from 'node:fs';
import { isMap, parseDocument, type Document } from 'yaml';
import { parseConfig, readConfigText } from '../../../contracts/lib/load-config.ts';
import type { Config } from '../../../contracts/config/config.ts';

/** The environment variable in which backend workers get the key that signs runners' credentials. */
export const SIGNING_KEY_VARIABLE = 'BATON_RUNNER_SIGNING_KEY';

/** Addresses of the servers that `baton start` runs; undefined where the configuration names its own. */
export interface StartedServers {
  temporal?: { address: string; namespace: string; uiUrl: string | undefined } | undefined;
  nats?: { url: string; account: string | undefined } | undefined;
  /** How containers reach NATS. */
  containerNatsUrl?: string | undefined;
}

/** Which servers `baton start` has to run, because the configuration doesn't name them. */
export function findServersToStart(document: Document): { temporal: boolean; nats: boolean } {
  return {
    temporal: !document.hasIn(['temporal', 'address']),
    nats: !document.hasIn(['nats', 'url']),
  };
}

/**
 * Reads and checks a configuration file, as it is written.
 *
 * @throws BatonError CONFIG_UNREADABLE, CONFIG_INVALID with lines and columns
 */
export function readDocument(file: string): Document {
  const text = readConfigText(file);
  parseConfig(text, file);
  return parseDocument(text);
}

/** What {@link writeEffective} fills in, where the file doesn't set it. */
const FILLED_IN = [
  ['temporal', 'address'],
  ['temporal', 'namespace'],
  ['temporal', 'ui_url'],
  ['nats', 'url'],
  ['nats', 'account'],
  ['nats', 'runner_signing_key'],
];

/**
 * Writes the configuration that the services read again, from a changed `source`; the addresses of the running servers stay.
 *
 * @returns what the services have read until now, and what they will read
 * @throws BatonError CONFIG_UNREADABLE, CONFIG_INVALID; `effective` is then unchanged
 */
export function refreshEffective(source: string, effective: string): { before: Config; after: Config } {
  const next = readDocument(source);
  const before = readDocument(effective);
  for (const path of FILLED_IN) {
    if (!next.hasIn(path) && before.hasIn(path)) next.setIn(path, before.getIn(path));
  }
  const earlier = parseConfig(before.toString(), effective);
  const docker = Object.values(earlier.backends).find(({ type }) => type === 'docker');
  return { before: earlier, after: writeEffective(next, { containerNatsUrl: docker?.nats_url }, effective) };
}

/** Fills in the servers, writes the result to `file` (mode 0600) and returns it, checked. */
export function writeEffective(document: Document, servers: StartedServers, file: string): Config {
  const { temporal, nats, containerNatsUrl } = servers;
  if (temporal) {
    document.setIn(['temporal', 'address'], temporal.address);
    document.setIn(['temporal', 'namespace'], temporal.namespace);
    if (temporal.uiUrl) document.setIn(['temporal', 'ui_url'], temporal.uiUrl);
  }
  if (nats) {
    document.setIn(['nats', 'url'], nats.url);
    if (nats.account) {
      document.setIn(['nats', 'account'], nats.account);
      document.setIn(['nats', 'runner_signing_key'], `\${${SIGNING_KEY_VARIABLE}}`);
    }
  }
  const backends = document.get('backends');
  if (containerNatsUrl !== undefined && isMap(backends)) {
    for (const { key } of backends.items) {
      const isDocker = document.getIn(['backends', String(key), 'type']) === 'docker';
      if (isDocker && !document.hasIn(['backends', String(key), 'nats_url'])) {
        document.setIn(['backends', String(key), 'nats_url'], containerNatsUrl);
      }
    }
  }
  const text = document.toString();
  writeFileSync(file, text, { mode: 0o600 });
  return parseConfig(text, file);
}
