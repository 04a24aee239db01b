import { condition, proxyActivities } from '@temporalio/workflow';
import type { OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import { runnerFingerprint, type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { Takeover } from '../../contracts/workflows/takeover.ts';
import { historyIsFull } from '../lib/history.ts';

const { findTakeover } = proxyActivities<Pick<OrchestratorActivities, 'findTakeover'>>({
  startToCloseTimeout: '10 min',
  heartbeatTimeout: '20 s',
  retry: { initialInterval: '200 ms', maximumInterval: '10 s' },
  summary: 'find the runners that exist already',
});

/**
 * Asks, for as long as it takes, what a dispatcher that starts without state has to take over.
 *
 * @param getSettings the settings as they are now: they may change meanwhile
 * @returns undefined where the history became full before there was an answer
 */
export async function askTakeover(getSettings: () => GroupSettings): Promise<Takeover | undefined> {
  for (;;) {
    const settings = getSettings();
    const fingerprint = runnerFingerprint(settings);
    const full = condition(historyIsFull).then(() => undefined);
    const found = await Promise.race([findTakeover({ settings, fingerprint }), full]);
    if (found === undefined || runnerFingerprint(getSettings()) === fingerprint) return found;
  }
}
