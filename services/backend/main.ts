import { createBackendActivities } from '../../activities/backends/activities.ts';
import { createAttemptCheck } from '../../activities/lib/current-attempt.ts';
import { createCredentialMint, type CredentialMint } from '../../activities/credentials/runner-credential.ts';
import { encode, type Bus } from '../../contracts/lib/nats.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { BackendConfig } from '../../contracts/config/backend.ts';
import type { Config } from '../../contracts/config/config.ts';
import { readSecret } from '../../contracts/lib/read-secret.ts';
import { BatonError } from '../../contracts/errors.ts';
import { NatsLink } from '../shared/nats-link.ts';
import { installRuntime } from '../shared/worker-runtime.ts';
import { runService } from '../shared/service.ts';
import { connectTemporal, createClient } from '../shared/temporal.ts';
import { readInstanceTls } from '../shared/instance-tls.ts';
import { bundleAgent } from './agent-bundle.ts';
import { getMaxConcurrentActivities, createBackend } from './create-backend.ts';
import { DeathPublisher } from './death-publisher.ts';
import { createBackendMetrics } from './metrics.ts';
import { createBackendWorkers } from './workers.ts';

/**
 * A backend worker: `node services/backend/main.ts NAME --config baton.yaml` runs the activities of backend NAME and publishes when
 * its instances die. Holds that backend's credential and the runners' signing key. Start as many per backend as you like.
 */
await runService('backend', async ({ config, log: serviceLog, metrics, stop, args }) => {
  const [name = ''] = args;
  const backendConfig = config.backends[name];
  if (backendConfig === undefined) {
    const known = Object.keys(config.backends).join(', ');
    throw new BatonError(
      'CONFIG_INVALID',
      `starting backend "${name}": the configuration has no such backend; it has ${known}`,
    );
  }
  const log = serviceLog.child({ backend: name });
  await installRuntime(log, metrics);
  const { observe, observePulls, observeFilter, died } = createBackendMetrics(metrics, name);
  const agent = await bundleAgent();
  const natsUrl = backendConfig.nats_url ?? config.nats.url;
  const backend = await createBackend(backendConfig, {
    installation: config.name,
    agent,
    log,
    observePulls,
    observeFilter,
    urls: [natsUrl, config.forge.url],
  });
  const link = new NatsLink(config.nats, 'backend', `backend ${name} of ${config.name}`, log);
  let bus: Bus | undefined;
  link.onUp((up) => (bus = up));
  link.open();
  const connection = await connectTemporal(config.temporal, log, stop);
  const mint = openCredentialMint(config, backendConfig);
  if (mint === undefined) log.info('instances get no NATS credential: not configured, or not needed');
  const activities = createBackendActivities({
    backend,
    natsUrl,
    natsTls: readInstanceTls(config.nats.tls),
    mint,
    confirm: createAttemptCheck(createClient(connection, config.temporal).activity),
    // Kept in no stream: without NATS there is no subscriber either.
    onCreated: (created) => link.isUp && bus?.publish(subjects.instanceCreated(created.runner), encode(created)),
    observe,
    log,
  });
  const { namespace } = config.temporal;
  const slots = getMaxConcurrentActivities(backendConfig);
  const workers = await createBackendWorkers({ connection, namespace, name, activities, slots });
  const deaths = new DeathPublisher({ link, backend: name, log, stop });
  const watching = backend.watch((dead) => {
    died.inc({ backend: name });
    deaths.publish(dead);
  }, stop);
  const running = workers.run(stop);

  return {
    ready: () => Promise.resolve(link.isUp && workers.areRunning()),
    run: async () => {
      await Promise.all([running, watching]);
      await deaths.finish();
      await link.close(5000);
      await connection.close();
    },
  };
});

/**
 * Undefined where NATS asks for no credential, and for instances that run only a command.
 *
 * @throws BatonError CONFIG_INVALID, SECRET_MISSING
 */
function openCredentialMint({ nats }: Config, backend: BackendConfig): CredentialMint | undefined {
  if (backend.type === 'local' && backend.command !== undefined) return undefined;
  if (nats.runner_signing_key === undefined) return undefined;
  if (nats.account === undefined) {
    throw new BatonError('CONFIG_INVALID', 'reading nats: runner_signing_key is set, but account is not; set both');
  }
  return createCredentialMint(nats.account, readSecret(nats.runner_signing_key));
}
