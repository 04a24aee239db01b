import type { Client } from '@temporalio/client';
import type { Registry } from 'prom-client';
import { createForgeActivities } from '../../activities/forges/activities.ts';
import { createHealthActivities } from '../../activities/health/activities.ts';
import { createDispatcherActivities } from '../../activities/signals/dispatcher-activities.ts';
import { createLocalActivities } from '../../activities/signals/local-activities.ts';
import { createRetirementQuestion } from '../../activities/signals/retirement.ts';
import { createSignaller } from '../../activities/signals/signaller.ts';
import type { Bus } from '../../contracts/lib/nats.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { Forge } from '../../contracts/ports/forge.ts';
import type { ForgeActivities } from '../../contracts/ports/forge-activities.ts';
import type { HealthActivities } from '../../contracts/ports/health-activities.ts';
import type { LocalActivities } from '../../contracts/ports/local-activities.ts';
import type { OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import type { StartPacer } from '../../contracts/ports/start-pacer.ts';
import type { RunControl } from '../../contracts/ports/run-control.ts';
import type { SignalActivities } from '../../contracts/ports/signal-activities.ts';
import type { LiveConfig } from '../shared/live-config.ts';
import type { NewestConfig } from '../shared/newest-config/newest-config.ts';
import { recordRunnerSpans } from '../shared/tracing/runner-spans.ts';
import type { Traces } from '../shared/tracing/span.ts';
import { batchRetirement, batchSignals } from './batch-signals.ts';
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
  pacer: StartPacer;
  live: LiveConfig;
  newest: Pick<NewestConfig, 'read'>;
  log: Logger;
  metrics: Registry;
  traces: Traces | undefined;
}

/** The orchestrator's activities, by the worker that runs them. */
export interface WorkerActivities {
  /** The local ones too: they run on the worker of their workflow. */
  orchestrator: OrchestratorActivities & LocalActivities;
  runners: LocalActivities;
  signals: SignalActivities;
  forge: ForgeActivities;
  forgeBackground: HealthActivities & Pick<ForgeActivities, 'removeRegistration'>;
}

/** All activities of the orchestrator's workers. */
export function createWorkerActivities(options: ActivityOptions): WorkerActivities {
  const { bus, client, forge, runs, pacer, live, newest, log, metrics, traces } = options;
  const signaller = batchSignals(createSignaller(client));
  const mayRetire = batchRetirement(createRetirementQuestion(client));
  const usage = new UsageRecorder({ bus, live, metrics });
  const deadLetterJob = createDeadLetterJob({ bus, live, metrics });
  const delegations = createDelegationActivities({ bus, client, runs, metrics });
  const { signalDispatcher } = signaller;
  const registrations = createForgeActivities(forge);
  const local = createLocalActivities(
    signaller,
    traces && ((report) => recordRunnerSpans(traces, report, live.current.forge.type)),
  );
  return {
    orchestrator: { ...local, ...createDispatcherActivities(client, signalDispatcher, pacer) },
    runners: local,
    signals: {
      ...delegations.signals,
      requestRetirement: async ({ group, runner }) => ((await mayRetire(group, runner)) ? 'retire' : 'keep'),
      recordUses: ({ uses }) => usage.record(uses),
      moveJobs: createMoveJobs({ client, newest, deadLetterJob, log }),
    },
    forge: { ...registrations, ...delegations.forge },
    forgeBackground: {
      ...registrations,
      ...createHealthActivities({
        client,
        forge,
        signalDispatcher,
        publish: (event) => publishJobEvent(bus, event),
        log,
      }),
    },
  };
}
