import type { Client } from '@temporalio/client';
import type { Registry } from 'prom-client';
import type { Config } from '../../../contracts/config/config.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { Forge } from '../../../contracts/ports/forge.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import type { NewestConfig, ReadNewest } from '../../shared/newest-config/newest-config.ts';
import { correctHealthSchedules, reconcileHealthSchedules } from './health-schedules.ts';
import { RunnerGroupsReconciler } from './runner-groups.ts';
import { correctWorkflows, reconcileWorkflows } from './workflows.ts';

/**
 * Temporal's visibility lags, a relay that has not read the new configuration yet may start a removed group's dispatcher again, and
 * a person may end a workflow or delete a schedule.
 */
const CORRECT_INTERVAL_MS = 20_000;
/** How often runner groups are looked at again that may not be used. */
const REFUSED_GROUPS_INTERVAL_MS = 60_000;

/**
 * Makes dispatchers, capacity workflows, health schedules and the forge's runner groups match the configuration: now, and whenever
 * it has been read again. Resolves after the first time.
 *
 * @returns stops the regular correction of what others changed
 * @throws what Temporal's client throws, the first time
 */
export async function startReconciling(options: {
  client: Client;
  forge: Forge;
  live: LiveConfig;
  newest: Pick<NewestConfig, 'read'>;
  metrics: Registry;
  log: Logger;
}): Promise<() => void> {
  const { client, forge, live, newest, metrics, log } = options;
  const runnerGroups = new RunnerGroupsReconciler(forge, log, metrics);
  // After workflows and schedules were listed: a new group is in the newest configuration before anything of it runs.
  const readNewest: ReadNewest = () => newest.read();
  const reconcile = async (config: Config): Promise<void> => {
    // This process can't use the newest configuration: those that can decide.
    if (live.problem !== undefined) return;
    await reconcileWorkflows(client, config, readNewest);
    await reconcileHealthSchedules(client, config, readNewest);
    // Not awaited: a forge that doesn't answer must not delay the groups.
    void runnerGroups.reconcile(config);
  };
  live.onChange(reconcile);
  await live.notify();
  const correct = async (): Promise<void> => {
    await correctWorkflows(client, readNewest);
    await correctHealthSchedules(client, readNewest);
  };
  const timer = setInterval(() => {
    correct().catch((error: unknown) => {
      log.warn({ reason: getErrorMessage(error) }, 'search for missing and removed workflows failed');
    });
  }, CORRECT_INTERVAL_MS);
  timer.unref();
  const refused = setInterval(() => {
    if (live.problem === undefined) void runnerGroups.retryRefused(live.current);
  }, REFUSED_GROUPS_INTERVAL_MS);
  refused.unref();
  return () => {
    clearInterval(timer);
    clearInterval(refused);
  };
}
