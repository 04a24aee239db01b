import type { Client } from '@temporalio/client';
import { Counter, Histogram, type Registry } from 'prom-client';
import { createDelegatedJobActivities } from '../../activities/delegation/jobs.ts';
import { createObservationActivities } from '../../activities/delegation/observations.ts';
import { createRecordActivities } from '../../activities/delegation/record.ts';
import type { Bus } from '../../contracts/lib/nats.ts';
import { DelegationStore } from '../../contracts/lib/delegation-store.ts';
import type { DelegatedJobActivities } from '../../contracts/ports/forge-activities.ts';
import type { SignalActivities } from '../../contracts/ports/signal-activities.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import type { RunControl } from '../../contracts/ports/run-control.ts';

/** The activities of delegations that wait for the forge, for the bus or for workflows, with their metrics. */
export function createDelegationActivities(options: {
  bus: Bus;
  client: Client;
  runs: RunControl;
  metrics: Registry;
}): {
  forge: DelegatedJobActivities;
  signals: Omit<SignalActivities, 'requestRetirement' | 'recordUses' | 'moveJobs'>;
} {
  const { bus, client, runs, metrics } = options;
  let store: Promise<DelegationStore> | undefined;
  const openStore = (): Promise<DelegationStore> => (store ??= DelegationStore.open(bus));
  return {
    forge: createDelegatedJobActivities(runs, openStore),
    signals: {
      ...createRecordActivities({ bus, store: openStore, observe: createDelegationMetrics(metrics) }),
      ...createObservationActivities(client),
    },
  };
}

/** Counts ended delegations, and times how long each job waited. An activity that ran twice counts twice. */
function createDelegationMetrics(registry: Registry): (job: DelegatedJob) => void {
  const registers = [registry];
  const ended = new Counter({
    name: 'baton_delegations_total',
    help: 'Delegations that ended, by proxy, status and the forge’s conclusion (none: the job never ran)',
    labelNames: ['proxy', 'status', 'conclusion'],
    registers,
  });
  const seconds = new Histogram({
    name: 'baton_delegation_seconds',
    help: 'Time from the proxy’s request until the job ran on an ephemeral runner',
    buckets: [1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 300, 600, 1800],
    registers,
  });
  return (job) => {
    if (job.completedAt !== null) {
      ended.inc({ proxy: job.runnerName, status: job.status, conclusion: job.conclusion ?? 'none' });
    } else if (job.status === 'running' && job.startedAt !== null) {
      seconds.observe((Date.parse(job.startedAt) - Date.parse(job.requestedAt)) / 1000);
    }
  };
}
