import { Worker } from '@temporalio/worker';
import { createBackendActivities } from '../../activities/backends/activities.ts';
import { withFailures } from '../../activities/lib/failure.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { encode } from '../../contracts/lib/nats.ts';
import { subjects } from '../../contracts/messages/subjects.ts';
import { NatsLink } from '../../services/shared/nats-link.ts';
import { dataConverter } from '../../services/shared/payload-codec.ts';
import { runService } from '../../services/shared/service.ts';
import { connectTemporal } from '../../services/shared/temporal.ts';
import { installRuntime } from '../../services/shared/worker-log.ts';
import { NothingBackend } from './nothing-backend.ts';

/**
 * A worker as services/backend/main.ts, for the backend whose instances do nothing: with real instances, the bench of the workflows
 * would measure ten thousand processes.
 */
await runService('backend', async ({ config, log, stop, args }) => {
  const [name = ''] = args;
  installRuntime(log);
  const link = new NatsLink(config.nats, `backend ${name} of the bench`, log);
  link.open();
  const bus = await link.connected(60_000);
  const connection = await connectTemporal(config.temporal, log, stop);
  const worker = await Worker.create({
    connection,
    dataConverter,
    namespace: config.temporal.namespace,
    taskQueue: TASK_QUEUE.backend(name),
    activities: withFailures(
      createBackendActivities({
        backend: new NothingBackend(),
        natsUrl: config.nats.url,
        onCreated: (created) => bus.publish(subjects.instanceCreated(created.runner), encode(created)),
        observe: () => undefined,
        log,
      }),
    ),
  });
  const running = worker.run();
  return {
    ready: () => Promise.resolve(worker.getState() === 'RUNNING'),
    run: async () => {
      stop.addEventListener('abort', () => worker.shutdown());
      await running;
      await link.close(5000);
      await connection.close();
    },
  };
});
