import type { Client } from '@temporalio/client';
import pMap, { pMapSkip } from 'p-map';
import { RUNNER_WORKFLOW, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import {
  DISPATCHER_ROSTER,
  dispatcherWorkflowId,
  type ObservedSlot,
  type Roster,
} from '../../contracts/workflows/dispatcher.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { ObservedWorkflow } from '../../contracts/workflows/health.ts';
import { isMissing } from '../lib/missing.ts';

const MAX_CONCURRENT_CALLS = 16;
const PHASES_WITH_INSTANCE = new Set<unknown>(['starting', 'idle', 'busy', 'completing']);

/** The group's running runner workflows, from visibility, which lags a little behind. */
export async function listWorkflows(
  client: Client,
  { name, backend }: Pick<GroupSettings, 'name' | 'backend'>,
): Promise<ObservedWorkflow[]> {
  const query = `WorkflowType = '${RUNNER_WORKFLOW}' AND BatonGroup = '${name}' AND ExecutionStatus = 'Running'`;
  const found: ObservedWorkflow[] = [];
  for await (const { workflowId, startTime, searchAttributes } of client.workflow.list({ query, pageSize: 1000 })) {
    found.push({
      runner: workflowId.split('/').at(-1) ?? workflowId,
      since: startTime.getTime(),
      // A runner created before its group moved to another backend has its instance on the old one.
      expectsInstance:
        searchAttributes['BatonBackend']?.[0] === backend &&
        PHASES_WITH_INSTANCE.has(searchAttributes['BatonPhase']?.[0]),
    });
  }
  return found;
}

/** The slots and waiting jobs of a group's dispatcher; empty where there is no dispatcher. */
export async function queryRoster(client: Client, group: string): Promise<Roster> {
  try {
    return await client.workflow.getHandle(dispatcherWorkflowId(group)).query<Roster>(DISPATCHER_ROSTER);
  } catch (error) {
    if (isMissing(error)) return { slots: [], waiting: [] };
    throw error;
  }
}

export async function listSlots(client: Client, group: string): Promise<ObservedSlot[]> {
  return (await queryRoster(client, group)).slots;
}

/** Which of these runners have no running workflow, by asking the server about each. */
export async function confirmOrphaned(client: Client, group: string, runners: readonly string[]): Promise<string[]> {
  const orphaned = await pMap(
    runners,
    async (runner) => ((await isRunning(client, runnerWorkflowId(group, runner))) ? pMapSkip : runner),
    { concurrency: MAX_CONCURRENT_CALLS },
  );
  return orphaned.sort();
}

async function isRunning(client: Client, workflowId: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
