import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { findFreePort } from '../../contracts/lib/free-ports.ts';
import { acquireServer } from './acquire.ts';
import { startChild, waitUntilReady, type Child } from './child.ts';

export interface NatsOptions {
  /** The folder of JetStream's store (unless the operator's configuration names another) and of the log. */
  dir: string;
  /** Default 127.0.0.1. */
  host?: string | undefined;
  /** Default: a free port. */
  port?: number | undefined;
  /** Accounts and credentials, from {@link ../nats/operator.ts}. Default: any client may connect. */
  operator?: { serverConfigFile: string } | undefined;
}

export interface NatsServer {
  /** `nats://host:port` */
  url: string;
  monitorUrl: string | undefined;
  /** Undefined for a server that ran already. */
  child: Child | undefined;
  /** Has the server read its configuration again: it disconnects whose credential is revoked. */
  reload(): void;
  /** Resolves when the server has ended; does nothing to one that ran already. */
  stop(): Promise<void>;
}

const portsFile = z.object({ nats: z.array(z.string()).min(1), monitoring: z.array(z.string()).min(1) });

/**
 * Starts a NATS server with JetStream, which ends with this process; or uses the one that BATON_NATS_URL names.
 *
 * @throws BatonError SERVER_UNAVAILABLE
 */
export async function startNatsServer(options: NatsOptions): Promise<NatsServer> {
  const acquired = await acquireServer('nats-server');
  if (acquired.kind === 'address') {
    return {
      url: acquired.address,
      monitorUrl: undefined,
      child: undefined,
      reload: () => undefined,
      stop: () => Promise.resolve(),
    };
  }
  const host = options.host ?? '127.0.0.1';
  mkdirSync(options.dir, { recursive: true });
  const ports = join(options.dir, 'ports');
  rmSync(ports, { recursive: true, force: true });
  mkdirSync(ports);
  const port = options.port ?? (await findFreePort(host));
  // The server picks the port of its monitoring itself (-1) and writes it to a file: it may be another one every time.
  const args = ['--addr', host, '--port', String(port), '--http_port', '-1', '--ports_file_dir', ports];
  if (options.operator) args.push('--config', options.operator.serverConfigFile);
  else args.push('--jetstream', '--store_dir', join(options.dir, 'jetstream'));
  const child = startChild({
    name: 'NATS',
    command: acquired.path,
    args,
    logFile: join(options.dir, 'nats.log'),
  });
  let url = '';
  let monitorUrl = '';
  let pid = 0;
  await waitUntilReady(child, async () => {
    const file = readdirSync(ports).find((name) => name.endsWith('.ports'));
    if (file === undefined) return false;
    // nats-server_PID.ports
    pid = Number(/_(\d+)\.ports$/.exec(file)?.[1]);
    const found = portsFile.parse(JSON.parse(readFileSync(join(ports, file), 'utf8')));
    url = found.nats[0] ?? '';
    monitorUrl = found.monitoring[0] ?? '';
    const answer = await fetch(`${monitorUrl}/healthz`, { signal: AbortSignal.timeout(2000) });
    return answer.ok;
  });
  return {
    url,
    monitorUrl,
    child,
    reload: () => void process.kill(pid, 'SIGHUP'),
    stop: async () => {
      await child.stop();
    },
  };
}
