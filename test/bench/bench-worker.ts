import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createBackendActivities } from '../../activities/backends/activities.ts';
import { createCredentialMint } from '../../activities/credentials/runner-credential.ts';
import { encode } from '../../contracts/lib/nats.ts';
import { readSecret } from '../../contracts/lib/read-secret.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { Backend } from '../../contracts/ports/backend.ts';
import { startChild, waitUntilReady } from '../../deploy/servers/child.ts';
import { findFreePort } from '../../contracts/lib/free-ports.ts';
import { DeathPublisher } from '../../services/backend/death-publisher.ts';
import { createBackendWorkers } from '../../services/backend/workers.ts';
import { NatsLink } from '../../services/shared/nats-link.ts';
import { runService } from '../../services/shared/service.ts';
import { connectTemporal } from '../../services/shared/temporal.ts';
import { installRuntime } from '../../services/shared/worker-runtime.ts';
import type { Cluster } from '../support/cluster.ts';

/**
 * Runs a worker as services/backend/main.ts, for a backend of the bench: with real instances, the bench would measure thousands of
 * processes. Its arguments are the backend's name and what `create` takes.
 */
export async function runBenchWorker(create: (args: readonly string[], log: Logger) => Backend): Promise<void> {
  await runService('backend', async ({ config, log, metrics, stop, args }) => {
    const [name = '', ...more] = args;
    await installRuntime(log, metrics);
    const link = new NatsLink(config.nats, 'backend', `backend ${name} of the bench`, log);
    link.open();
    const bus = await link.connected(60_000);
    const connection = await connectTemporal(config.temporal, log, stop);
    const { account, runner_signing_key: key } = config.nats;
    const backend = create(more, log);
    const activities = createBackendActivities({
      backend,
      natsUrl: config.nats.url,
      mint: account && key ? createCredentialMint(account, readSecret(key)) : undefined,
      onCreated: (created) => bus.publish(subjects.instanceCreated(created.runner), encode(created)),
      observe: () => undefined,
      log,
    });
    const { namespace } = config.temporal;
    const workers = await createBackendWorkers({ connection, namespace, name, activities });
    const deaths = new DeathPublisher({ link, backend: name, log, stop });
    const watching = backend.watch((dead) => deaths.publish(dead), stop);
    const running = workers.run(stop);
    return {
      ready: () => Promise.resolve(workers.areRunning()),
      run: async () => {
        await Promise.all([running, watching]);
        await deaths.finish();
        await link.close(5000);
        await connection.close();
      },
    };
  });
}

/**
 * Starts the worker of a bench backend; it runs as long as the cluster.
 *
 * @param file of this folder, which calls {@link runBenchWorker}
 */
export async function startBenchWorker(
  cluster: Cluster,
  { file, backend, args = [] }: { file: string; backend: string; args?: string[] },
): Promise<void> {
  const port = await findFreePort();
  const name = `backend-${backend}`;
  const child = startChild({
    name,
    command: process.execPath,
    args: [fileURLToPath(new URL(file, import.meta.url)), backend, ...args, '--admin-port', String(port)],
    logFile: join(cluster.dir, 'logs', `${name}.log`),
    env: cluster.environment('backend'),
    cwd: cluster.dir,
  });
  cluster.services.set(name, child);
  await waitUntilReady(child, async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
}
