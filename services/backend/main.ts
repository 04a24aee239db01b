import { Worker } from '@temporalio/worker';
import { createBackendActivities } from '../../activities/backends/activities.ts';
import { createCredentialMint, type CredentialMint } from '../../activities/credentials/runner-credential.ts';
import { withFailures } from '../../activities/lib/failure.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { encode, type Bus } from '../../contracts/lib/nats.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { BackendConfig } from '../../contracts/config/backend.ts';
import type { Config } from '../../contracts/config/config.ts';
import { readSecret } from '../../contracts/lib/read-secret.ts';
import { BatonError } from '../../contracts/errors.ts';
import { NatsLink } from '../shared/nats-link.ts';
import { installRuntime } from '../shared/worker-log.ts';
import { dataConverter } from '../shared/payload-codec.ts';
import { runService } from '../shared/service.ts';
import { connectTemporal } from '../shared/temporal.ts';
import { instanceTls } from '../shared/instance-tls.ts';
import { bundleAgent } from './agent-bundle.ts';
import { activitiesAtOnce, createBackend } from './create-backend.ts';
import { DeathPublisher } from './death-publisher.ts';
import { backendMetrics } from './metrics.ts';

/**
 * A backend worker: `node services/backend/main.ts NAME --config baton.yaml` does the activities of backend NAME and tells
 * when its instances die. Holds that backend's credential and the runners' signing key; start as many of a name as you like.
 */
await runService('backend', async ({ config, log: serviceLog, metrics, stop, args }) => {
  const [name = ''] = args;
  const backendConfig = config.backends[name];
  if (backendConfig === undefined) {
    const known = Object.keys(config.backends).join(', ');
    throw new BatonError(
      'CONFIG_INVALID',
      `starting backend "${name}": the configuration has ${known}; give one of them`,
    );
  }
  const log = serviceLog.child({ backend: name });
  installRuntime(log);
  const backend = await createBackend(backendConfig, { installation: config.name, agent: await bundleAgent(), log });
  const link = new NatsLink(config.nats, `backend ${name} of ${config.name}`, log);
  let bus: Bus | undefined;
  link.onUp((up) => (bus = up));
  link.open();
  const connection = await connectTemporal(config.temporal, log, stop);
  const { observe, died } = backendMetrics(metrics, name);
  const mint = credentialMint(config, backendConfig);
  if (mint === undefined) log.info('instances get no NATS credential: none is configured, or none is needed');
  const activities = createBackendActivities({
    backend,
    natsUrl: backendConfig.nats_url ?? config.nats.url,
    natsTls: instanceTls(config.nats.tls),
    mint,
    // For whoever watches just now: without NATS there is nobody.
    onCreated: (created) => link.isUp && bus?.publish(subjects.instanceCreated(created.runner), encode(created)),
    observe,
    log,
  });
  const worker = await Worker.create({
    connection,
    dataConverter,
    namespace: config.temporal.namespace,
    taskQueue: TASK_QUEUE.backend(name),
    activities: withFailures(activities),
    maxConcurrentActivityTaskExecutions: activitiesAtOnce(backendConfig),
    // A cancellation comes back with a heartbeat, which the SDK would hold back for most of its timeout.
    maxHeartbeatThrottleInterval: '2 s',
    // What is being made or removed is finished; an image that is being pulled is not waited for to its end.
    shutdownGraceTime: '30 s',
    shutdownForceTime: '45 s',
  });
  const notices = new DeathPublisher({ link, backend: name, log, stop });
  const watching = backend.watch((dead) => {
    died.inc({ backend: name });
    notices.tell(dead);
  }, stop);
  const running = worker.run();

  return {
    ready: () => Promise.resolve(link.isUp && worker.getState() === 'RUNNING'),
    run: async () => {
      stop.addEventListener('abort', () => worker.shutdown());
      if (stop.aborted) worker.shutdown();
      await Promise.all([running, watching]);
      await notices.settled();
      await link.close(5000);
      await connection.close();
    },
  };
});

/** Undefined where NATS asks for no credential, and for instances that are no more than a command. */
function credentialMint({ nats }: Config, backend: BackendConfig): CredentialMint | undefined {
  if (backend.type === 'local' && backend.command !== undefined) return undefined;
  if (nats.runner_signing_key === undefined) return undefined;
  if (nats.account === undefined) {
    throw new BatonError('CONFIG_INVALID', 'nats.runner_signing_key is set, but nats.account is not');
  }
  return createCredentialMint(nats.account, readSecret(nats.runner_signing_key));
}
