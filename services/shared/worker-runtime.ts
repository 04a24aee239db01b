import { randomInt } from 'node:crypto';
import { makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Registry } from 'prom-client';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { registerSlotMetrics, type WorkerSlots } from './slot-metrics.ts';
import { createWorkerLogger } from './worker-log.ts';

/**
 * The port of the SDK's own metrics is one of these: systems give none of them to whoever asks for any free port, so that it is never one
 * that another program was told to be free.
 */
const PORTS = { first: 20_000, last: 31_999 };
/** Another process may have the port. */
const MAX_ATTEMPTS = 20;
const READ_TIMEOUT_MS = 2000;

/**
 * Sets up the Temporal SDK for this process: it writes to our log, also from its native part, leaves signals to us, and shows its
 * workers' slots in our metrics. Its own metrics are on a port of the loopback interface that nobody else needs to know. Call it once.
 *
 * @param ownSlots the slots that the SDK doesn't count: see {@link registerSlotMetrics}
 */
export function installRuntime(log: Logger, metrics: Registry, ownSlots: () => WorkerSlots[] = () => []): void {
  for (let attempt = 1; ; attempt++) {
    const port = randomInt(PORTS.first, PORTS.last + 1);
    const bindAddress = `127.0.0.1:${port}`;
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
        { port, reason: getErrorMessage(error) },
        'port for the Temporal SDK’s metrics was taken; trying another',
      );
      continue;
    }
    const read = async (): Promise<string> => {
      const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
      return await (await fetch(`http://${bindAddress}/metrics`, { signal })).text();
    };
    registerSlotMetrics(metrics, read, ownSlots);
    return;
  }
}
