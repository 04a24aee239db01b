import { makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Registry } from 'prom-client';
import { getErrorMessage } from '../../contracts/errors.ts';
import { findFreePort } from '../../contracts/lib/free-ports.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { registerSlotMetrics, type WorkerSlots } from './slot-metrics.ts';
import { createWorkerLogger } from './worker-log.ts';

/** A program that is not of Baton may take a port that was free. */
const MAX_ATTEMPTS = 20;
const READ_TIMEOUT_MS = 2000;

/**
 * Sets up the Temporal SDK for this process: it writes to our log, also from its native part, leaves signals to us, and shows its
 * workers' slots in our metrics. Its own metrics are on a port of the loopback interface that nobody else needs to know. That is a reserved
 * one, because the SDK doesn't say which one it got where the system chooses. Call it once.
 *
 * @param ownSlots the slots that the SDK doesn't count: see {@link registerSlotMetrics}
 * @returns the URL of the SDK's own metrics
 * @throws BatonError SERVER_UNAVAILABLE where no port is free
 */
export async function installRuntime(
  log: Logger,
  metrics: Registry,
  ownSlots: () => WorkerSlots[] = () => [],
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const bindAddress = `127.0.0.1:${await findFreePort()}`;
    try {
      Runtime.install({
        logger: createWorkerLogger(log),
        shutdownSignals: [],
        telemetryOptions: {
          logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} },
          metrics: { prometheus: { bindAddress } },
        },
      });
    } catch (error) {
      if (attempt === MAX_ATTEMPTS) throw error;
      log.debug(
        { bindAddress, reason: getErrorMessage(error) },
        'address for the Temporal SDK’s metrics was taken; trying another',
      );
      continue;
    }
    const url = `http://${bindAddress}/metrics`;
    const read = async (): Promise<string> => {
      return await (await fetch(url, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) })).text();
    };
    registerSlotMetrics(metrics, read, ownSlots);
    return url;
  }
}
