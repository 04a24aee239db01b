import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { TemporalConfig } from '../../contracts/config/servers.ts';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { toTemporalOptions } from './temporal-options.ts';
import { dataConverter } from './payload-codec.ts';

const RETRY_DELAY_MS = 1000;

/**
 * Connects to Temporal, for workers and clients alike. Retries until the server answers or `stop` fires.
 *
 * @throws the last error, once `stop` has fired; BatonError SECRET_MISSING, CONFIG_UNREADABLE
 */
export async function connectTemporal(
  config: TemporalConfig,
  log: Logger,
  stop: AbortSignal,
): Promise<NativeConnection> {
  const options = toTemporalOptions(config);
  for (;;) {
    try {
      return await NativeConnection.connect(options);
    } catch (error) {
      if (stop.aborted) throw error;
      log.warn({ address: config.address, reason: getErrorMessage(error) }, 'Temporal connection failed; will retry');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, RETRY_DELAY_MS);
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

/** A Temporal client on that connection, for the installation's namespace. */
export function createClient(connection: NativeConnection, config: TemporalConfig): Client {
  return new Client({ connection, namespace: config.namespace, dataConverter });
}
