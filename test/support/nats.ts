import { join } from 'node:path';
import type { OperatorSetup } from '../../deploy/nats/operator.ts';
import { startNatsServer, type NatsOptions, type NatsServer } from '../../deploy/servers/nats.ts';
import { temporaryFolder } from './cleanup.ts';
import { setUpNats } from './set-up-nats.ts';
import { until } from './until.ts';

/** Starts a server that was killed again, on the same port; that may be free only a moment later. */
export function restartNats(options: NatsOptions & { port: number }): Promise<NatsServer> {
  return until(() => startNatsServer(options), { what: 'NATS runs again', timeoutMs: 60_000 });
}

export interface TestNats {
  /** `nats://host:port`, the same after {@link resume}. */
  readonly address: string;
  /** Path of its log. */
  readonly log: string;
  /** Kills the server; its files stay. */
  halt(): Promise<void>;
  /** Starts it again after {@link halt}, on the same port. */
  resume(): Promise<void>;
  /** Ends the server and deletes its files. */
  stop(): Promise<void>;
}

/**
 * Starts a NATS server with Baton's streams for one test file, on a free port. It ends with the test's process, however that ends.
 *
 * @param options `operator`: accounts and credentials. Default: any client may do everything
 */
export async function startNats(options: { operator?: OperatorSetup } = {}): Promise<TestNats> {
  const folder = temporaryFolder('nats');
  let server: NatsServer = await startNatsServer({ ...options, dir: folder.path });
  const address = server.url;
  const port = Number(new URL(address).port);
  await setUpNats({ url: address, credentialsFile: options.operator?.credentials.setup });
  return {
    address,
    log: join(folder.path, 'nats.log'),
    halt: async () => {
      await server.child?.kill();
    },
    resume: async () => {
      server = await restartNats({ ...options, dir: folder.path, port });
    },
    stop: async () => {
      await server.stop();
      folder.remove();
    },
  };
}
