import { WorkflowIdConflictPolicy, type Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../../contracts/workflows/search-attributes.ts';
import {
  DISPATCHER_EVENTS,
  DISPATCHER_WORKFLOW,
  type DispatcherEvent,
  dispatcherWorkflowId,
} from '../../../contracts/workflows/dispatcher.ts';
import {
  CAPACITY_WORKFLOW,
  CAPACITY_EVENTS,
  type CapacityInput,
  type CapacityEvent,
  capacityWorkflowId,
} from '../../../contracts/workflows/capacity.ts';
import { TASK_QUEUE } from '../../../contracts/workflows/task-queues.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { toGroupSettings } from '../../../contracts/config/group-settings.ts';
import { ignoreMissing } from '../../../activities/lib/missing.ts';
import { dispatcherStart } from '../../shared/dispatcher-start.ts';

/**
 * Brings the actors in step with the configuration: keepers of capped backends, dispatchers of all groups (started where they
 * don't run yet), and those of groups that are no longer there. Safe to repeat, and from several orchestrators at once.
 */
export async function reconcileWorkflows(client: Client, config: Config): Promise<void> {
  // Keepers first: dispatchers ask them for places as soon as they are told of a cap.
  await Promise.all(
    Object.entries(config.backends).map(async ([backend, { max }]) => {
      if (max === undefined) return;
      const groups = config.groups.filter((group) => group.backend === backend).map(({ name }) => name);
      await configureKeeper(client, backend, { type: 'configure', max, groups });
    }),
  );
  await Promise.all(
    config.groups.map(async (group) => {
      const settings = toGroupSettings(config, group);
      const start = dispatcherStart(config, group, [{ type: 'configure', settings }]);
      await client.workflow.signalWithStart(DISPATCHER_WORKFLOW, start);
    }),
  );
  await retireRemovedWorkflows(client, config);
}

/** Tells dispatchers whose group, and keepers whose cap, is no longer in the configuration; they end once nothing is left of it. */
export async function retireRemovedWorkflows(client: Client, config: Config): Promise<void> {
  const removed: DispatcherEvent[] = [{ type: 'removed' }];
  const wanted = new Set(config.groups.map(({ name }) => dispatcherWorkflowId(name)));
  for (const id of await running(client, DISPATCHER_WORKFLOW)) {
    if (!wanted.has(id)) await ignoreMissing(client.workflow.getHandle(id).signal(DISPATCHER_EVENTS, removed));
  }
  const uncapped: CapacityEvent[] = [{ type: 'configure', max: null, groups: [] }];
  const capped = new Set(
    Object.entries(config.backends).flatMap(([name, { max }]) => (max === undefined ? [] : [capacityWorkflowId(name)])),
  );
  for (const id of await running(client, CAPACITY_WORKFLOW)) {
    if (!capped.has(id)) await ignoreMissing(client.workflow.getHandle(id).signal(CAPACITY_EVENTS, uncapped));
  }
}

async function configureKeeper(client: Client, backend: string, news: CapacityEvent): Promise<void> {
  const input: CapacityInput = { backend };
  const args: [CapacityInput] = [input];
  const signalArgs: [CapacityEvent[]] = [[news]];
  await client.workflow.signalWithStart(CAPACITY_WORKFLOW, {
    workflowId: capacityWorkflowId(backend),
    taskQueue: TASK_QUEUE.orchestrator,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args,
    signal: CAPACITY_EVENTS,
    signalArgs,
    staticSummary: `places of backend ${backend}`,
    typedSearchAttributes: [{ key: SEARCH_ATTRIBUTES.backend, value: backend }],
  });
}

/** By visibility, which may lag: what is missed now is found by the next look. */
async function running(client: Client, type: string): Promise<string[]> {
  const ids: string[] = [];
  const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
  return ids;
}
