import { ScheduleNotFoundError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { RUNNER_WORKFLOW, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import {
  DISPATCHER_ROSTER,
  dispatcherWorkflowId,
  type ObservedSlot,
  type Roster,
} from '../../contracts/workflows/dispatcher.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { ObservedWorkflow } from '../../contracts/workflows/health.ts';

/** Questions to the server that are under way at once. */
const AT_ONCE = 16;
const EMBODIED = new Set<unknown>(['starting', 'idle', 'busy', 'completing']);

/** The group's running runner workflows on its backend, from visibility: moments old. */
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
      // A runner that was made before its group moved to another backend has its instance there.
      expectsInstance:
        searchAttributes['BatonBackend']?.[0] === backend && EMBODIED.has(searchAttributes['BatonPhase']?.[0]),
    });
  }
  return found;
}

/** What a group's dispatcher counts; nothing where there is none. */
export async function rosterOf(client: Client, group: string): Promise<Roster> {
  try {
    return await client.workflow.getHandle(dispatcherWorkflowId(group)).query<Roster>(DISPATCHER_ROSTER);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { slots: [], waiting: [] };
    throw error;
  }
}

export async function listSlots(client: Client, group: string): Promise<ObservedSlot[]> {
  return (await rosterOf(client, group)).slots;
}

/** Which of these have no running workflow, as the server itself says of each. */
export async function confirmOwnerless(client: Client, group: string, runners: readonly string[]): Promise<string[]> {
  const queue = [...runners];
  const ownerless: string[] = [];
  const ask = async (): Promise<void> => {
    for (let runner = queue.shift(); runner !== undefined; runner = queue.shift()) {
      if (!(await isRunning(client, runnerWorkflowId(group, runner)))) ownerless.push(runner);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, runners.length) }, ask));
  return ownerless.sort();
}

async function isRunning(client: Client, workflowId: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Whether a workflow or schedule is not there (any more), on the server's own word. */
export function isMissing(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || error instanceof ScheduleNotFoundError;
}
