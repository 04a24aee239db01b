import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import { createActorActivities, dispatcherTeller } from '../../activities/actors.ts';
import { withFailures } from '../../activities/failure.ts';
import { createHealthActivities } from '../../activities/health/activities.ts';
import { createForgeActivities } from '../../activities/forges/activities.ts';
import { TASK_QUEUE, type OrchestratorActivities } from '../../contracts/actors.ts';
import type { DelegationActivities } from '../../contracts/delegation/actors.ts';
import { BusLink } from '../bus-link.ts';
import { runService } from '../service.ts';
import { connectTemporal, createClient } from '../temporal.ts';
import { createDelegationActivities } from './delegations.ts';
import { createForge, createRunControl } from './forge.ts';
import { gatherNews } from './gather-news.ts';
import { HealthDoor } from './health-door.ts';
import { keepHealthSchedules } from './health-schedules.ts';
import { jobPublisher } from './job-publisher.ts';
import { configureGroups, ensureSearchAttributes } from './namespace.ts';
import { Registrar } from './registrar.ts';
import { StatusReporter } from './status-reporter.ts';
import { installRuntime, workerLogger } from '../worker-log.ts';

/** The longest timer there is: a service waits for its servers. */
const FOR_EVER_MS = 2 ** 31 - 1;

/**
 * The orchestrator: worker for all workflows and for the forge's activities, registrar, and status. Holds the forge's
 * credential; start as many as you like.
 */
await runService('orchestrator', async ({ config, log, metrics, stop }) => {
  installRuntime(log);
  const forge = createForge(config.forge, log);
  const link = new BusLink(config.nats, `orchestrator of ${config.name}`, log);
  link.open();
  const bus = await link.connected(FOR_EVER_MS);
  const connection = await connectTemporal(config.temporal, log, stop);
  const client = createClient(connection, config.temporal);
  await ensureSearchAttributes(connection, config.temporal.namespace);
  const tellDispatcher = gatherNews(dispatcherTeller(client));
  const activities: OrchestratorActivities & DelegationActivities = {
    ...createActorActivities(client, tellDispatcher),
    ...createForgeActivities(forge),
    ...createHealthActivities({ client, forge, tellDispatcher, publish: jobPublisher(bus), log }),
    ...createDelegationActivities({ bus, client, runs: createRunControl(config.forge, log), metrics }),
  };
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: workerLogger(log),
  });
  const worker = await Worker.create({
    connection,
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
  const registrar = new Registrar({ bus, client, forge, config, log, metrics });
  const status = new StatusReporter({ bus, client, config, log });
  const health = new HealthDoor({ bus, client, log });
  const running = worker.run();
  await configureGroups(client, config);
  await keepHealthSchedules(client, config);

  return {
    ready: () => Promise.resolve(link.isUp && worker.getState() === 'RUNNING'),
    run: async () => {
      stop.addEventListener('abort', () => worker.shutdown());
      if (stop.aborted) worker.shutdown();
      await Promise.all([running, registrar.run(stop), status.run(stop), health.run(stop)]);
      await link.close(5000);
      await connection.close();
    },
  };
});
