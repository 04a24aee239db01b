import { WorkflowIdConflictPolicy } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  DISPATCHER_NEWS,
  dispatcherWorkflowId,
  TASK_QUEUE,
  type DispatcherInput,
  type DispatcherNews,
} from '../../contracts/workflows/actors.ts';
import type { Config } from '../../contracts/config/config.ts';
import type { GroupConfig } from '../../contracts/config/group.ts';
import { groupSettings } from '../../contracts/config/group-settings.ts';

/** Options of `signalWithStart(WORKFLOW.dispatcher, …)`: tells a group's dispatcher news, starting it where it doesn't run. */
export function dispatcherStart(config: Config, group: GroupConfig, news: DispatcherNews[]) {
  const input: DispatcherInput = { settings: groupSettings(config, group) };
  const args: [DispatcherInput] = [input];
  const signalArgs: [DispatcherNews[]] = [news];
  return {
    workflowId: dispatcherWorkflowId(group.name),
    taskQueue: TASK_QUEUE.orchestrator,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args,
    signal: DISPATCHER_NEWS,
    signalArgs,
    staticSummary: `dispatcher of ${group.name}`,
    typedSearchAttributes: [
      { key: defineSearchAttributeKey('BatonGroup', 'KEYWORD'), value: group.name },
      { key: defineSearchAttributeKey('BatonForge', 'KEYWORD'), value: config.forge.type },
      { key: defineSearchAttributeKey('BatonBackend', 'KEYWORD'), value: group.backend },
    ],
  };
}
