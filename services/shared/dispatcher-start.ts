import { WorkflowIdConflictPolicy } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import {
  DISPATCHER_EVENTS,
  type DispatcherInput,
  type DispatcherEvent,
  dispatcherWorkflowId,
} from '../../contracts/workflows/dispatcher.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type { Config } from '../../contracts/config/config.ts';
import type { GroupConfig } from '../../contracts/config/group.ts';
import { toGroupSettings } from '../../contracts/config/group-settings.ts';

/** Options for `signalWithStart(DISPATCHER_WORKFLOW, …)`: signals a group's dispatcher, and starts it where it doesn't run. */
export function createDispatcherStart(config: Config, group: GroupConfig, events: DispatcherEvent[]) {
  const input: DispatcherInput = { settings: toGroupSettings(config, group) };
  const args: [DispatcherInput] = [input];
  const signalArgs: [DispatcherEvent[]] = [events];
  return {
    workflowId: dispatcherWorkflowId(group.name),
    taskQueue: TASK_QUEUE.orchestrator,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args,
    signal: DISPATCHER_EVENTS,
    signalArgs,
    staticSummary: `dispatcher of ${group.name}`,
    typedSearchAttributes: [
      { key: SEARCH_ATTRIBUTES.group, value: group.name },
      { key: SEARCH_ATTRIBUTES.forge, value: config.forge.type },
      { key: SEARCH_ATTRIBUTES.backend, value: group.backend },
    ],
  };
}
