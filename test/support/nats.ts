import { join } from 'node:path';
import { startNatsServer, type NatsOptions, type NatsServer } from '../../deploy/servers/nats.ts';
import { temporaryFolder } from './cleanup.ts';

export interface TestNats {
  /** `nats://host:port`, the same after {@link resume}. */
  readonly address: string;
  /** Path of its log. */
  readonly log: string;
  /** Ends the server as a crash would, keeping what it has on disk. */
  halt(): Promise<void>;
  /** Starts it again after {@link halt}, on the same port. */
  resume(): Promise<void>;
  /** Ends it and removes all it wrote. */
  stop(): Promise<void>;
}

/** A NATS server of the test's own, with JetStream, on a free port. It ends with the test's process, however that ends. */
export async function startNats(options: Pick<NatsOptions, 'operator'> = {}): Promise<TestNats> {
  const folder = temporaryFolder('nats');
  let server: NatsServer = await startNatsServer({ ...options, dir: folder.path });
  const address = server.url;
  const port = Number(new URL(address).port);
  return {
    address,
    log: join(folder.path, 'nats.log'),
    halt: async () => {
      await server.child?.kill();
    },
    resume: async () => {
      server = await startNatsServer({ ...options, dir: folder.path, port });
    },
    stop: async () => {
      await server.stop();
      folder.remove();
    },
  };
}
