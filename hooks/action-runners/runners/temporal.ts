import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client';
import { z } from 'zod';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { ActionRunner, CompletionOutput, ExecutionContext, StartOutput } from '../manager/action-runner.ts';
import { waitForAbort } from '../manager/timer.ts';

const input = z.strictObject({
  /** The workflow's type. */
  workflow: z.string().min(1),
  task_queue: z.string().min(1),
  arguments: z.array(z.json()).default([]),
  address: z.string().min(1).default('127.0.0.1:7233'),
  namespace: z.string().min(1).default('default'),
  tls: z.boolean().default(false),
  /** Name of the environment variable that holds an API key. */
  api_key_env: z.string().min(1).optional(),
});

type TemporalInput = z.infer<typeof input>;

/**
 * Starts a workflow, whose id is the action's name, and waits for its result. A Manager that is restarted after a crash
 * waits for the workflow that is running, or takes the result of the one that succeeded; one that failed is started
 * again. At SIGTERM and at the timeout the workflow is cancelled, but never terminated, so that it can clean up.
 */
export class TemporalRunner implements ActionRunner<TemporalInput> {
  readonly name = 'temporal';
  readonly input = input;
  #connection: Connection | undefined;
  #handle: WorkflowHandle | undefined;

  async start(context: ExecutionContext, given: TemporalInput): Promise<StartOutput> {
    const apiKey = given.api_key_env === undefined ? undefined : process.env[given.api_key_env];
    if (given.api_key_env !== undefined && !apiKey) {
      throw new BatonError(
        'SECRET_MISSING',
        `connecting to Temporal at ${given.address}: ${given.api_key_env} is not set`,
      );
    }
    this.#connection = await Connection.connect({
      address: given.address,
      ...(given.tls ? { tls: true } : {}),
      ...(apiKey === undefined ? {} : { apiKey }),
    }).catch((error: unknown) => {
      throw new BatonError(
        'SERVER_UNAVAILABLE',
        `connecting to Temporal at ${given.address}: ${getErrorMessage(error)}`,
      );
    });
    const client = new Client({ connection: this.#connection, namespace: given.namespace });
    try {
      this.#handle = await client.workflow.start(given.workflow, {
        workflowId: context.name,
        taskQueue: given.task_queue,
        args: given.arguments,
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
        staticSummary: `action ${context.name}`,
      });
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) {
        await this.#connection.close();
        throw new BatonError('PROGRAM_FAILED', `starting workflow ${context.name}: ${getErrorMessage(error)}`, {
          cause: error,
        });
      }
      this.#handle = client.workflow.getHandle(context.name);
    }
    return { status: { workflow: context.name, namespace: given.namespace } };
  }

  async waitForCompletion(context: ExecutionContext): Promise<CompletionOutput> {
    const handle = this.#handle;
    if (handle === undefined) throw new BatonError('INTERNAL', 'waiting for a workflow: it was never started');
    void waitForAbort(context.signal).then(() =>
      handle
        .cancel()
        .catch((error: unknown) =>
          context.log.warn({ workflow: context.name, err: error }, 'cancelling the workflow failed'),
        ),
    );
    try {
      const result: unknown = await handle.result();
      if (result !== undefined && result !== null) context.output(`${JSON.stringify(result)}\n`);
      return { succeeded: true, message: `workflow ${context.name} completed` };
    } catch (error) {
      if (!(error instanceof WorkflowFailedError)) {
        throw new BatonError('SERVER_UNAVAILABLE', `waiting for workflow ${context.name}: ${getErrorMessage(error)}`);
      }
      const why = error.cause === undefined ? error.message : getErrorMessage(error.cause);
      return { succeeded: false, message: `workflow ${context.name} failed: ${why}` };
    } finally {
      await this.#connection?.close();
    }
  }
}
