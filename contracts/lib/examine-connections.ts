import type { Config } from '../config/config.ts';
import { isLoopback } from './loopback.ts';

/**
 * Looks for connections beyond this machine that anybody on the way can read or take over.
 *
 * @returns one warning for each, which names the key and what to do
 */
export function examineConnections({ nats, temporal, backends }: Config): string[] {
  const warnings: string[] = [];
  if (nats.tls === false) {
    warnings.push(...examineNats('nats.url', nats.url));
    for (const [name, backend] of Object.entries(backends)) {
      if (backend.nats_url !== undefined) warnings.push(...examineNats(`backends.${name}.nats_url`, backend.nats_url));
    }
  }
  // An API key makes Temporal's client use TLS.
  if (temporal.tls === false && temporal.api_key === undefined && !isHere(temporal.address)) {
    warnings.push(
      `temporal.address: ${temporal.address} is not this machine, and the connection has neither TLS nor an API key: anybody who ` +
        'reaches Temporal can start, read and end workflows. Set temporal.tls, or temporal.api_key',
    );
  }
  return warnings;
}

function examineNats(key: string, urls: string): string[] {
  return urls
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '' && !isHere(url))
    .map((url) =>
      /^(tls|wss):\/\//i.test(url)
        ? `${key}: the \`tls\` in ${url} does not require TLS: without nats.tls, whoever is on the way can have the connection without it. ` +
          'Set nats.tls'
        : `${key}: ${url} is not this machine, and nats.tls is not set: the connection has TLS only if the server asks for it, and whoever ` +
          'is on the way can read and change it. Set nats.tls',
    );
}

/** Whether an address or URL is this machine's own loopback interface. */
function isHere(address: string): boolean {
  const text = address.includes('://') ? address : `any://${address}`;
  if (!URL.canParse(text)) return false;
  const host = new URL(text).hostname.toLowerCase();
  return isLoopback(host) || host.endsWith('.localhost');
}
