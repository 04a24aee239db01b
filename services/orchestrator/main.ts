import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import { createSignalActivities, createDispatcherSignaller } from '../../activities/signals/signal-activities.ts';
import { withFailures } from '../../activities/lib/failure.ts';
import { createHealthActivities } from '../../activities/health/activities.ts';
import { createForgeActivities } from '../../activities/forges/activities.ts';
import { type OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import { type RunnerReport } from '../../contracts/workflows/runner.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type { DelegationActivities } from '../../contracts/ports/delegation-activities.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { Config } from '../../contracts/config/config.ts';
import { messageOf } from '../../contracts/errors.ts';
import { answerApplyRequests } from '../shared/apply-requests.ts';
import { NatsLink } from '../shared/nats-link.ts';
import { dataConverter } from '../shared/payload-codec.ts';
import { runService } from '../shared/service.ts';
import { connectTemporal, createClient } from '../shared/temporal.ts';
import { Budgets } from './rate-limit/budgets.ts';
import { reconcileWorkflows, retireRemovedWorkflows } from './reconcile/workflows.ts';
import { controlDoor } from './requests/control.ts';
import { CostDoor } from './requests/cost.ts';
import { createDelegationActivities } from './delegation-activities.ts';
import { answerRequests } from './requests/request-server.ts';
import { explainDoor } from './requests/explain.ts';
import { createForge } from './forge.ts';
import { batchDispatcherEvents } from './batch-dispatcher-events.ts';
import { HealthDoor } from './requests/health.ts';
import { reconcileHealthSchedules } from './reconcile/health-schedules.ts';
import { publishJobEvent } from './reconcile/publish-job-event.ts';
import { reconcileRunnerGroups } from './reconcile/runner-groups.ts';
import { letterWriter } from './reconcile/dead-letter-job.ts';
import { jobMover } from './reconcile/move-jobs.ts';
import { ensureSearchAttributes } from './reconcile/search-attributes.ts';
import { Registrar } from './requests/registration.ts';
import { StatusReporter } from './requests/status.ts';
import { UsageRecorder } from './usage/usage-recorder.ts';
import { runnerSpans } from '../shared/tracing/runner-spans.ts';
import { installRuntime, workerLogger } from '../shared/worker-log.ts';

/** The longest timer there is: a service waits for its servers. */
const FOR_EVER_MS = 2 ** 31 - 1;
/** Between looks for actors that the configuration has no longer. */
const SWEEP_MS = 60_000;

/**
 * The orchestrator: worker for all workflows and for the forge's activities, registrar, and status. Holds the forge's
 * credential; start as many as you like.
 */
await runService('orchestrator', async ({ config, live, log, metrics, traces, stop }) => {
  installRuntime(log);
  const link = new NatsLink(config.nats, `orchestrator of ${config.name}`, log);
  link.open();
  const bus = await link.connected(FOR_EVER_MS);
  const budgets = await Budgets.open(bus, metrics, log);
  const { forge, runs } = createForge(config.forge, budgets, log);
  const connection = await connectTemporal(config.temporal, log, stop);
  const client = createClient(connection, config.temporal);
  await ensureSearchAttributes(connection, config.temporal.namespace);
  const signalDispatcher = batchDispatcherEvents(createDispatcherSignaller(client));
  const usage = new UsageRecorder({ bus, live, metrics });
  const letGo = letterWriter({ bus, forge: () => live.current.forge.type, metrics });
  const traceReport =
    traces &&
    ((report: RunnerReport): void => {
      for (const span of runnerSpans(report, live.current.forge.type)) traces.record(span);
    });
  const activities: OrchestratorActivities & DelegationActivities = {
    ...createSignalActivities(client, signalDispatcher, (use) => usage.record(use), traceReport),
    ...createForgeActivities(forge),
    ...createHealthActivities({
      client,
      forge,
      signalDispatcher,
      publish: (event) => publishJobEvent(bus, event),
      log,
    }),
    ...createDelegationActivities({ bus, client, runs, metrics }),
    moveJobs: jobMover(client, live, letGo, log),
  };
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: workerLogger(log),
  });
  const worker = await Worker.create({
    connection,
    dataConverter,
    namespace: config.temporal.namespace,
    taskQueue: TASK_QUEUE.orchestrator,
    workflowBundle,
    activities: withFailures(activities),
    // About 300 kB each: 1,000 busy or idle runners in cache cost 300 MB.
    maxCachedWorkflows: 1000,
    // The SDK would hold heartbeats back for most of their timeout.
    maxHeartbeatThrottleInterval: '5 s',
    shutdownGraceTime: '20 s',
    shutdownForceTime: '30 s',
  });
  const registrar = new Registrar({ bus, client, forge, live, log, metrics });
  const status = new StatusReporter({ bus, client, live, limits: () => budgets.limits(), log });
  const health = new HealthDoor({ bus, client, log });
  const cost = new CostDoor({ bus, log });
  const running = worker.run();
  const configure = async (wanted: Config): Promise<void> => {
    await reconcileWorkflows(client, wanted);
    await reconcileHealthSchedules(client, wanted);
    void reconcileRunnerGroups(forge, wanted, log);
  };
  await configure(config);
  live.onChange(configure);
  answerApplyRequests('orchestrator', live, link, log);
  // Visibility lags, and a relay that has not read the new configuration yet may start a removed group's dispatcher anew.
  const sweep = setInterval(() => {
    retireRemovedWorkflows(client, live.current).catch((error: unknown) => {
      log.warn({ reason: messageOf(error) }, 'looking for actors that are configured no longer');
    });
  }, SWEEP_MS);
  sweep.unref();

  return {
    ready: () => Promise.resolve(link.isUp && worker.getState() === 'RUNNING'),
    run: async () => {
      stop.addEventListener('abort', () => worker.shutdown());
      if (stop.aborted) worker.shutdown();
      const control = { bus, log, subject: subjects.control };
      const explain = { bus, log, subject: subjects.explain };
      await Promise.all([
        running,
        registrar.run(stop),
        status.run(stop),
        health.run(stop),
        cost.run(stop),
        answerRequests(control, controlDoor(client, live, log), stop),
        answerRequests(explain, explainDoor({ bus, client, forge, live, log }), stop),
      ]);
      clearInterval(sweep);
      await link.close(5000);
      await connection.close();
    },
  };
});
