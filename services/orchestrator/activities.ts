import type { Client } from '@temporalio/client';
import type { Registry } from 'prom-client';
import { createForgeActivities } from '../../activities/forges/activities.ts';
import { createHealthActivities } from '../../activities/health/activities.ts';
import { createDispatcherSignaller, createSignalActivities } from '../../activities/signals/signal-activities.ts';
import type { Bus } from '../../contracts/lib/nats.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { DelegationActivities } from '../../contracts/ports/delegation-activities.ts';
import type { Forge } from '../../contracts/ports/forge.ts';
import type { OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import type { RunControl } from '../../contracts/ports/run-control.ts';
import type { LiveConfig } from '../shared/live-config.ts';
import { recordRunnerSpans } from '../shared/tracing/runner-spans.ts';
import type { Traces } from '../shared/tracing/span.ts';
import { batchDispatcherEvents } from './batch-dispatcher-events.ts';
import { createDelegationActivities } from './delegation-activities.ts';
import { createDeadLetterJob } from './reconcile/dead-letter-job.ts';
import { createMoveJobs } from './reconcile/move-jobs.ts';
import { publishJobEvent } from './reconcile/publish-job-event.ts';
import { UsageRecorder } from './usage/usage-recorder.ts';

export interface ActivityOptions {
  bus: Bus;
  client: Client;
  forge: Forge;
  runs: RunControl;
  live: LiveConfig;
  log: Logger;
  metrics: Registry;
  traces: Traces | undefined;
}

/** All activities of the orchestrator's worker. */
export function createOrchestratorActivities(options: ActivityOptions): OrchestratorActivities & DelegationActivities {
  const { bus, client, forge, runs, live, log, metrics, traces } = options;
  const signalDispatcher = batchDispatcherEvents(createDispatcherSignaller(client));
  const usage = new UsageRecorder({ bus, live, metrics });
  const deadLetterJob = createDeadLetterJob({ bus, live, metrics });
  return {
    ...createSignalActivities(
      client,
      signalDispatcher,
      (use) => usage.record(use),
      traces && ((report) => recordRunnerSpans(traces, report, live.current.forge.type)),
    ),
    ...createForgeActivities(forge),
    ...createHealthActivities({
      client,
      forge,
      signalDispatcher,
      publish: (event) => publishJobEvent(bus, event),
      log,
    }),
    ...createDelegationActivities({ bus, client, runs, metrics }),
    moveJobs: createMoveJobs({ client, live, deadLetterJob, log }),
  };
}
