import type { Client } from '@temporalio/client';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { Forge } from '../../../contracts/ports/forge.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import { reconcileHealthSchedules } from './health-schedules.ts';
import { reconcileRunnerGroups } from './runner-groups.ts';
import { reconcileWorkflows, retireRemovedWorkflows } from './workflows.ts';

/**
 * Temporal's visibility lags, and a relay that has not read the new configuration yet may start a removed group's dispatcher again.
 */
const RETIRE_INTERVAL_MS = 60_000;

/**
 * Makes dispatchers, capacity workflows, health schedules and the forge's runner groups match the configuration: now, and whenever
 * it has been read again. Resolves after the first time.
 *
 * @returns stops the regular search for workflows of removed groups
 * @throws what Temporal's client throws, the first time
 */
export async function startReconciling(options: {
  client: Client;
  forge: Forge;
  live: LiveConfig;
  log: Logger;
}): Promise<() => void> {
  const { client, forge, live, log } = options;
  const reconcile = async (): Promise<void> => {
    await reconcileWorkflows(client, live.current);
    await reconcileHealthSchedules(client, live.current);
    // Not awaited: a forge that doesn't answer must not delay the groups.
    void reconcileRunnerGroups(forge, live.current, log);
  };
  await reconcile();
  live.onChange(reconcile);
  const timer = setInterval(() => {
    retireRemovedWorkflows(client, live.current).catch((error: unknown) => {
      log.warn({ reason: getErrorMessage(error) }, 'search for workflows of removed groups failed');
    });
  }, RETIRE_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
