import { makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import type { Registry } from 'prom-client';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { findFreePorts } from '../../deploy/servers/ports.ts';
import { registerSlotMetrics } from './slot-metrics.ts';
import { createWorkerLogger } from './worker-log.ts';

/** Another process may take a port just after it was found to be free. */
const MAX_ATTEMPTS = 3;
const READ_TIMEOUT_MS = 2000;

/**
 * Sets up the Temporal SDK for this process: it writes to our log, also from its native part, leaves signals to us, and shows its
 * workers' slots in our metrics. Its own metrics are on a port of the loopback interface that nobody else needs to know. Call it once.
 */
export async function installRuntime(log: Logger, metrics: Registry): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const [port = 0] = await findFreePorts(1);
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
    registerSlotMetrics(metrics, async () => {
      const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
      return await (await fetch(`http://${bindAddress}/metrics`, { signal })).text();
    });
    return;
  }
}
