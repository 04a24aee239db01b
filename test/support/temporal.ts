import { startTemporalServer, type TemporalOptions, type TemporalServer } from '../../deploy/servers/temporal.ts';
import { temporaryFolder } from './cleanup.ts';

export interface TestTemporal {
  /** `host:port`, the same after {@link resume}. */
  readonly address: string;
  readonly namespace: string;
  /** Kills the server; its files stay. */
  halt(): Promise<void>;
  /** Starts it again after {@link halt}, on the same port. */
  resume(): Promise<void>;
  /** Ends the server and deletes its files. */
  stop(): Promise<void>;
}

/**
 * Starts a Temporal dev server for one test file: without its Web UI, with our search attributes, and on disk, so that it can be
 * halted and resumed. It ends with the test's process, however that ends.
 */
export async function startTemporal(): Promise<TestTemporal> {
  const folder = temporaryFolder('temporal');
  const options: TemporalOptions = { dir: folder.path, ui: false, persist: true };
  let server: TemporalServer = await startTemporalServer(options);
  const port = Number(server.address.split(':').at(-1));
  return {
    address: server.address,
    namespace: server.namespace,
    halt: async () => {
      await server.child?.kill();
    },
    resume: async () => {
      server = await startTemporalServer({ ...options, port });
    },
    stop: async () => {
      await server.stop();
      folder.remove();
    },
  };
}
