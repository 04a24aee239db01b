import { isLoopback } from '../../contracts/lib/loopback.ts';

/** The name by which containers know the engine's machine. */
const ENGINE_HOST = 'host.docker.internal';
const DEFAULT_PORTS: Record<string, string> = { 'http:': '80', 'https:': '443', 'nats:': '4222', 'tls:': '4222' };

/**
 * `host:port` of each URL and of each port of the engine's machine. A loopback address is this machine's, which containers know
 * by another name.
 *
 * @param urls each may be several, separated by commas
 */
export function toAllowedHosts(urls: readonly string[], ports: readonly number[]): string[] {
  const found = urls
    .flatMap((url) => url.split(','))
    .map((text) => new URL(text.includes('://') ? text.trim() : `nats://${text.trim()}`))
    .map(({ hostname, port, protocol }) => {
      const host = isLoopback(hostname) ? ENGINE_HOST : hostname;
      return `${host}:${port || (DEFAULT_PORTS[protocol] ?? '4222')}`;
    });
  return [...new Set([...found, ...ports.map((port) => `${ENGINE_HOST}:${port}`)])];
}
