import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { startTemporal } from '../../support/temporal.ts';
import { go } from './lasting.workflow.ts';
import { actionRunnerContract } from './suite.ts';

const TASK_QUEUE = 'actions';

actionRunnerContract('temporal', {
  lasting: async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    const temporal = await startTemporal();
    const { address, namespace } = temporal;
    const connection = await NativeConnection.connect({ address });
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue: TASK_QUEUE,
      workflowsPath: fileURLToPath(new URL('lasting.workflow.ts', import.meta.url)),
    });
    const running = worker.run();
    const client = new Client({ connection: await Connection.connect({ address }), namespace });
    const workflow = (type: string, more = {}) => ({
      address,
      namespace,
      task_queue: TASK_QUEUE,
      workflow: type,
      ...more,
    });
    const executions = async (name: string, more = '') => {
      const found: string[] = [];
      const query = `WorkflowId = '${name}'${more}`;
      for await (const { status } of client.workflow.list({ query })) found.push(status.name);
      return found;
    };
    return {
      succeeds: (name) => workflow('greeting', { arguments: [name] }),
      fails: () => ({ input: workflow('failing'), message: /workflow .* failed: nothing to be done/ }),
      lasts: () => workflow('lasting'),
      unstartable: () => ({
        input: workflow('greeting', { namespace: 'no-such-namespace' }),
        message: /starting workflow .*no-such-namespace/,
      }),
      wrong: () => ({ input: workflow('greeting', { tls: 'yes' }), field: 'tls' }),
      left: (name) => executions(name, ` AND ExecutionStatus = 'Running'`),
      starts: async (name) => (await executions(name)).length,
      finish: (name) => client.workflow.getHandle(name).signal(go),
      stop: async () => {
        worker.shutdown();
        await running;
        await client.connection.close();
        await connection.close();
        await temporal.stop();
      },
    };
  },
});
