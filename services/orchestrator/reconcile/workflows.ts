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
import { createDispatcherStart } from '../../shared/dispatcher-start.ts';

/**
 * Makes the long-running workflows match the configuration: starts or configures the capacity workflow of each capped backend and
 * the dispatcher of each group, and retires those that are no longer configured. Idempotent; safe to run from several
 * orchestrators at once.
 */
export async function reconcileWorkflows(client: Client, config: Config): Promise<void> {
  // Capacity workflows first: a dispatcher requests slots as soon as it knows of a cap.
  await Promise.all(
    Object.entries(config.backends).map(async ([backend, { max }]) => {
      if (max === undefined) return;
      const groups = config.groups.filter((group) => group.backend === backend).map(({ name }) => name);
      await configureCapacity(client, backend, { type: 'configure', max, groups });
    }),
  );
  await Promise.all(
    config.groups.map(async (group) => {
      const settings = toGroupSettings(config, group);
      const start = createDispatcherStart(config, group, [{ type: 'configure', settings }]);
      await client.workflow.signalWithStart(DISPATCHER_WORKFLOW, start);
    }),
  );
  await retireRemovedWorkflows(client, config);
}

/**
 * Signals the dispatchers of groups, and the capacity workflows of caps, that are no longer in the configuration. They end when
 * their last runner has ended.
 */
export async function retireRemovedWorkflows(client: Client, config: Config): Promise<void> {
  const removed: DispatcherEvent[] = [{ type: 'removed' }];
  const wanted = new Set(config.groups.map(({ name }) => dispatcherWorkflowId(name)));
  for (const id of await listRunning(client, DISPATCHER_WORKFLOW)) {
    if (!wanted.has(id)) await ignoreMissing(client.workflow.getHandle(id).signal(DISPATCHER_EVENTS, removed));
  }
  const uncapped: CapacityEvent[] = [{ type: 'configure', max: null, groups: [] }];
  const capped = new Set(
    Object.entries(config.backends).flatMap(([name, { max }]) => (max === undefined ? [] : [capacityWorkflowId(name)])),
  );
  for (const id of await listRunning(client, CAPACITY_WORKFLOW)) {
    if (!capped.has(id)) await ignoreMissing(client.workflow.getHandle(id).signal(CAPACITY_EVENTS, uncapped));
  }
}

async function configureCapacity(client: Client, backend: string, event: CapacityEvent): Promise<void> {
  const input: CapacityInput = { backend };
  const args: [CapacityInput] = [input];
  const signalArgs: [CapacityEvent[]] = [[event]];
  await client.workflow.signalWithStart(CAPACITY_WORKFLOW, {
    workflowId: capacityWorkflowId(backend),
    taskQueue: TASK_QUEUE.orchestrator,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args,
    signal: CAPACITY_EVENTS,
    signalArgs,
    staticSummary: `slots of backend ${backend}`,
    typedSearchAttributes: [{ key: SEARCH_ATTRIBUTES.backend, value: backend }],
  });
}

/** From Temporal's visibility, which may lag: the next search finds what this one misses. */
async function listRunning(client: Client, type: string): Promise<string[]> {
  const ids: string[] = [];
  const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
  return ids;
}
