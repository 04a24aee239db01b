import { Client, Connection } from '@temporalio/client';
import {
  DISPATCHER_EVENTS,
  type DispatcherEvent,
  dispatcherWorkflowId,
} from '../../../contracts/workflows/dispatcher.ts';
import { runnerWorkflowId } from '../../../contracts/workflows/runner.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { toGroupSettings } from '../../../contracts/config/group-settings.ts';
import { toTemporalOptions } from '../../shared/temporal-options.ts';

const OPEN_RUNNERS_QUERY = `WorkflowType = 'runner' AND ExecutionStatus = 'Running'`;

/** What `baton start` needs of Temporal: to list the open runners, and to end them. */
export class TemporalView {
  readonly #connection: Connection;
  readonly #client: Client;
  readonly #config: Config;

  private constructor(connection: Connection, config: Config) {
    this.#connection = connection;
    this.#client = new Client({ connection, namespace: config.temporal.namespace });
    this.#config = config;
  }

  static async connect(config: Config): Promise<TemporalView> {
    const connection = await Connection.connect({ ...toTemporalOptions(config.temporal), connectTimeout: 5000 });
    return new TemporalView(connection, config);
  }

  /** Workflow ids of this installation's runners that are not removed yet. */
  async listOpenRunners(): Promise<string[]> {
    const ids: string[] = [];
    for await (const { workflowId } of this.#client.workflow.list({ query: OPEN_RUNNERS_QUERY })) {
      if (this.#config.groups.some(({ name }) => workflowId.startsWith(this.#prefix(name)))) ids.push(workflowId);
    }
    return ids;
  }

  /** Makes the dispatchers start no more runners until an orchestrator configures them again. Waiting jobs are not lost. */
  async pauseStarts(): Promise<void> {
    await Promise.all(
      this.#config.groups.map(async (group) => {
        const settings = { ...toGroupSettings(this.#config, group), max: 0, min: 0 };
        const events: DispatcherEvent[] = [{ type: 'configure', settings }];
        await this.#client.workflow.getHandle(dispatcherWorkflowId(group.name)).signal(DISPATCHER_EVENTS, events);
      }),
    );
  }

  /** Makes that runner remove itself now, busy or not. */
  async cancel(workflowId: string): Promise<void> {
    await this.#client.workflow.getHandle(workflowId).cancel();
  }

  /** Another installation may have a group of the same name in this namespace. */
  #prefix(group: string): string {
    return runnerWorkflowId(group, `${this.#config.name}-${group}-`);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}
