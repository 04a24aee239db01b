import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { answerApplyRequests } from '../shared/apply-requests.ts';
import { NatsLink } from '../shared/nats-link.ts';
import { NewestConfig } from '../shared/newest-config/newest-config.ts';
import { createRefusedRequests, serveRequests } from '../shared/request-server.ts';
import { runService } from '../shared/service.ts';
import { connectTemporal, createClient } from '../shared/temporal.ts';
import { installRuntime } from '../shared/worker-runtime.ts';
import { createWorkerActivities } from './activities.ts';
import { createForge } from './forge.ts';
import { KeyValueMadeGroups } from './made-groups.ts';
import { LingeringRegistrations } from './lingering.ts';
import { createScopePacer } from './pacing/scope-pacer.ts';
import { Schedulers } from './rate-limit/schedulers.ts';
import { startReconciling } from './reconcile/reconcile.ts';
import { ensureSearchAttributes } from './reconcile/search-attributes.ts';
import { createControlHandler } from './requests/control.ts';
import { createCostHandler } from './requests/cost.ts';
import { createExplainHandler } from './requests/explain.ts';
import { createHealthHandler } from './requests/health.ts';
import { createRegistrationHandler } from './requests/registration/handler.ts';
import { createWorkflowGate } from './requests/registration/gate.ts';
import { RegistrationRecords } from './requests/registration/records.ts';
import { createStatusHandler } from './requests/status.ts';
import { StartSlots } from './start-slots.ts';
import { createOrchestratorWorkers, RUNNER_SLOTS } from './workers.ts';

/** The longest delay of a Node.js timer: a service waits for its servers as long as it takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The orchestrator: Temporal workers for all workflows, their signals and the forge's activities, and the server of all requests over NATS
 * (registration, status, health, cost, explain, control). Holds the forge's credential. Start as many as you like.
 */
await runService('orchestrator', async ({ config, live, log, metrics, traces, stop }) => {
  const runnerSlots = new StartSlots(RUNNER_SLOTS);
  await installRuntime(log, metrics, () => [
    { state: 'available', queue: TASK_QUEUE.runners, kind: 'workflow', count: runnerSlots.available },
  ]);
  const link = new NatsLink(config.nats, 'orchestrator', `orchestrator of ${config.name}`, log);
  link.open();
  const bus = await link.connected(MAX_TIMER_MS);
  const schedulers = await Schedulers.open(bus, metrics, log);
  const records = await RegistrationRecords.open(bus, log, schedulers.clock.now);
  const made = await KeyValueMadeGroups.open(bus, config.forge.url);
  const newest = new NewestConfig({ live, metrics, log, mayRollBack: true });
  newest.open(bus);
  const following = newest.run(stop);
  // Without it, this process could take away groups that only others know.
  await newest.untilKnown();
  const { forge, runs } = createForge(config.forge, schedulers, made);
  const pacer = createScopePacer(schedulers, forge, metrics, log);
  const connection = await connectTemporal(config.temporal, log, stop);
  const client = createClient(connection, config.temporal);
  const { namespace } = config.temporal;
  await ensureSearchAttributes(connection, namespace);

  const activities = createWorkerActivities({ bus, client, forge, runs, pacer, live, newest, log, metrics, traces });
  const workers = await createOrchestratorWorkers({ connection, namespace, activities, runnerSlots, log });
  const registration = createRegistrationHandler({
    forge,
    gate: createWorkflowGate(client),
    records,
    live,
    log,
    metrics,
    stop,
  });
  const lingering = new LingeringRegistrations(client);
  lingering.show(metrics, live, log);
  const status = createStatusHandler({ bus, client, live, limits: () => schedulers.limits(), lingering, log });
  const running = workers.run(stop);
  const stopReconciling = await startReconciling({ client, forge, live, newest, metrics, log });
  const refused = createRefusedRequests(metrics);
  answerApplyRequests('orchestrator', live, link, { log, refused });

  return {
    ready: () => Promise.resolve(link.isUp && workers.areRunning()),
    run: async () => {
      const server = { bus, log, stop, refused };
      await Promise.all([
        running,
        following,
        serveRequests(server, registration),
        serveRequests(server, status),
        serveRequests(server, createHealthHandler(client)),
        serveRequests(server, createCostHandler(bus, log)),
        serveRequests(server, createControlHandler({ client, live, log })),
        serveRequests(server, createExplainHandler({ bus, client, forge, live, log })),
      ]);
      stopReconciling();
      await link.close(5000);
      await connection.close();
    },
  };
});
