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
import type { GroupConfig } from '../../../contracts/config/group.ts';
import { toGroupSettings } from '../../../contracts/config/group-settings.ts';
import { ignoreMissing } from '../../../activities/lib/missing.ts';
import type { ReadNewest } from '../../shared/newest-config/newest-config.ts';
import { createDispatcherStart } from '../../shared/dispatcher-start.ts';

/**
 * Makes the long-running workflows match the configuration: starts or configures the capacity workflow of each capped backend and
 * the dispatcher of each group, and retires those that are no longer configured. Idempotent; safe to run from several
 * orchestrators at once.
 */
export async function reconcileWorkflows(client: Client, config: Config, readNewest: ReadNewest): Promise<void> {
  // Capacity workflows first: a dispatcher requests slots as soon as it knows of a cap.
  await Promise.all(Object.keys(config.backends).map((backend) => configureCapacity(client, config, backend)));
  await Promise.all(config.groups.map((group) => configureDispatcher(client, config, group)));
  await retireRemovedWorkflows(client, readNewest);
}

/**
 * Retires what is no longer configured, and starts what does not run although it is configured: somebody ended it by hand, and it
 * takes over what there is.
 */
export async function correctWorkflows(client: Client, readNewest: ReadNewest): Promise<void> {
  const { dispatchers, capacities, config } = await retireRemovedWorkflows(client, readNewest);
  if (config === undefined) return;
  const lost = new Set(listCapped(config).filter((backend) => !capacities.has(capacityWorkflowId(backend))));
  for (const backend of lost) await configureCapacity(client, config, backend);
  for (const group of config.groups) {
    // A new capacity workflow waits until all its groups have reported their runners, which `configure` makes them do.
    if (lost.has(group.backend) || !dispatchers.has(dispatcherWorkflowId(group.name))) {
      await configureDispatcher(client, config, group);
    }
  }
}

/** The workflows that run, by id. */
interface RunningWorkflows {
  dispatchers: Set<string>;
  capacities: Set<string>;
  /** Undefined where the newest configuration is not known. */
  config: Config | undefined;
}

/**
 * Signals the dispatchers of groups, and the capacity workflows of caps, that are no longer in the configuration. They end when
 * their last runner has ended.
 */
async function retireRemovedWorkflows(client: Client, readNewest: ReadNewest): Promise<RunningWorkflows> {
  const dispatchers = await listRunning(client, DISPATCHER_WORKFLOW);
  const capacities = await listRunning(client, CAPACITY_WORKFLOW);
  const config = await readNewest();
  if (config === undefined) return { dispatchers, capacities, config };
  const removed: DispatcherEvent[] = [{ type: 'removed' }];
  const wanted = new Set(config.groups.map(({ name }) => dispatcherWorkflowId(name)));
  for (const id of dispatchers) {
    if (!wanted.has(id)) await ignoreMissing(client.workflow.getHandle(id).signal(DISPATCHER_EVENTS, removed));
  }
  const uncapped: CapacityEvent[] = [{ type: 'configure', max: null, groups: [] }];
  const capped = new Set(listCapped(config).map(capacityWorkflowId));
  for (const id of capacities) {
    if (!capped.has(id)) await ignoreMissing(client.workflow.getHandle(id).signal(CAPACITY_EVENTS, uncapped));
  }
  return { dispatchers, capacities, config };
}

/** The names of backends with a cap. */
function listCapped({ backends }: Config): string[] {
  return Object.entries(backends).flatMap(([name, { max }]) => (max === undefined ? [] : [name]));
}

async function configureDispatcher(client: Client, config: Config, group: GroupConfig): Promise<void> {
  const settings = toGroupSettings(config, group);
  const start = createDispatcherStart(config, group, [{ type: 'configure', settings }]);
  await client.workflow.signalWithStart(DISPATCHER_WORKFLOW, start);
}

/** Does nothing for a backend without a cap. */
async function configureCapacity(client: Client, config: Config, backend: string): Promise<void> {
  const max = config.backends[backend]?.max;
  if (max === undefined) return;
  const groups = config.groups.filter((group) => group.backend === backend).map(({ name }) => name);
  const event: CapacityEvent = { type: 'configure', max, groups };
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
async function listRunning(client: Client, type: string): Promise<Set<string>> {
  const ids = new Set<string>();
  const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query })) ids.add(workflowId);
  return ids;
}
