import { proxyActivities } from '@temporalio/workflow';
import type { OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';

type DispatcherActivities = Pick<OrchestratorActivities, 'startRunners' | 'retireRunners' | 'requestSlots'>;

/** Not local activities: these would keep the workflow task open while a burst of signals waits in the server. */
const proxy = (summary: string): DispatcherActivities =>
  proxyActivities<DispatcherActivities>({
    startToCloseTimeout: '1 min',
    retry: { initialInterval: '200 ms', maximumInterval: '10 s' },
    summary,
  });
export const { startRunners } = proxy('start runners');
export const { retireRunners } = proxy('ask surplus runners to retire');
export const { moveJobs } = proxySignalActivities('move waiting jobs to other groups');
export const { requestSlots } = proxy('request slots on the backend');
