import type { Client } from '@temporalio/client';
import pMap, { pMapSkip } from 'p-map';
import { RUNNER_WORKFLOW, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import {
  DISPATCHER_JOB_STATUS,
  DISPATCHER_ROSTER,
  dispatcherWorkflowId,
  type JobStatus,
  type ObservedSlot,
  type Roster,
} from '../../contracts/workflows/dispatcher.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { ObservedWorkflow } from '../../contracts/workflows/health.ts';
import { isMissing } from '../lib/missing.ts';

const MAX_CONCURRENT_CALLS = 16;
const PHASES_WITH_INSTANCE = new Set<unknown>(['starting', 'idle', 'busy', 'completing']);
/** GitHub removes an ephemeral runner's registration when its job is over. */
const PHASES_WITH_REGISTRATION = new Set<unknown>(['idle', 'busy']);

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
      expectsRegistration: PHASES_WITH_REGISTRATION.has(searchAttributes['BatonPhase']?.[0]),
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

/** What a group's dispatcher knows of a job; it knows none where there is no dispatcher. */
export async function queryJobState(client: Client, group: string, jobId: number): Promise<JobStatus['state']> {
  try {
    const handle = client.workflow.getHandle(dispatcherWorkflowId(group));
    return (await handle.query<JobStatus, [number]>(DISPATCHER_JOB_STATUS, jobId)).state;
  } catch (error) {
    if (isMissing(error)) return 'unknown';
    throw error;
  }
}

export async function listSlots(client: Client, group: string): Promise<ObservedSlot[]> {
  return (await queryRoster(client, group)).slots;
}

/**
 * Which of these runners had no running workflow at that time, nor since, by asking the server about each. What the forge listed
 * at that time may belong to a runner that has ended meanwhile.
 *
 * @param order `at`: milliseconds since the epoch
 */
export async function confirmOrphaned(
  client: Client,
  { group, runners, at }: { group: string; runners: readonly string[]; at: number },
): Promise<string[]> {
  const orphaned = await pMap(
    runners,
    async (runner) => ((await wasRunning(client, runnerWorkflowId(group, runner), at)) ? pMapSkip : runner),
    { concurrency: MAX_CONCURRENT_CALLS },
  );
  return orphaned.sort();
}

async function wasRunning(client: Client, workflowId: string, at: number): Promise<boolean> {
  try {
    const { status, closeTime } = await client.workflow.getHandle(workflowId).describe();
    return status.name === 'RUNNING' || (closeTime !== undefined && closeTime.getTime() > at);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
