import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { TemporalConfig } from '../../contracts/config/servers.ts';
import { messageOf } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { temporalOptions } from './temporal-options.ts';
import { dataConverter } from './payload-codec.ts';

const PAUSE_MS = 1000;

/**
 * A connection to Temporal for workers and clients alike; waits for a server that isn't there yet, until `stop` fires.
 *
 * @throws the last error when `stop` fires first; BatonError SECRET_MISSING, CONFIG_UNREADABLE
 */
export async function connectTemporal(
  config: TemporalConfig,
  log: Logger,
  stop: AbortSignal,
): Promise<NativeConnection> {
  const options = temporalOptions(config);
  for (;;) {
    try {
      return await NativeConnection.connect(options);
    } catch (error) {
      if (stop.aborted) throw error;
      log.warn({ address: config.address, reason: messageOf(error) }, 'Temporal does not answer yet');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, PAUSE_MS);
        function done(): void {
          clearTimeout(timer);
          stop.removeEventListener('abort', done);
          resolve();
        }
        stop.addEventListener('abort', done);
      });
    }
  }
}

/** A client on that connection, in the installation's namespace. */
export function createClient(connection: NativeConnection, config: TemporalConfig): Client {
  return new Client({ connection, namespace: config.namespace, dataConverter });
}
