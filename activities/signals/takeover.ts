import { activityInfo } from '@temporalio/activity';
import { ScheduleOverlapPolicy, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import pMap, { pMapSkip } from 'p-map';
import { z } from 'zod';
import { DISPATCHER_WORKFLOW, dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import type { GroupSettings } from '../../contracts/workflows/group-settings.ts';
import { healthScheduleId } from '../../contracts/workflows/health.ts';
import { RUNNER_WORKFLOW, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import {
  DISPATCHER_STATE,
  RUNNER_SLOT,
  type AdoptedRunner,
  type RunnerSlot,
  type Takeover,
} from '../../contracts/workflows/takeover.ts';
import { ignoreMissing, isMissing } from '../lib/missing.ts';

const MAX_CONCURRENT_CALLS = 16;
const ANSWER_TIMEOUT_MS = 10_000;
/** Temporal lists the newest runs first. */
const MAX_RUNS = 100;
/** After so many attempts, a workflow that doesn't answer is broken: what the server knows of it has to do. */
const MAX_ATTEMPTS_TO_ASK = 3;

/** The names of runners in a dispatcher's state. */
const namesInState = z.object({ demand: z.object({ runners: z.array(z.tuple([z.string(), z.unknown()])) }) });

/**
 * Finds what a dispatcher that starts without state has to take over. Temporal's visibility lags behind: the state of the last
 * dispatcher names the runners that it does not list yet. The server is asked about each runner, and each runner how it counts.
 */
export async function findTakeover(
  client: Client,
  { settings, fingerprint }: { settings: GroupSettings; fingerprint: string },
): Promise<Takeover> {
  const { name: group } = settings;
  const before = await findLastRun(client, group);
  const state = before === undefined ? null : await askFirst(() => queryState(client, group, before.runId), null);
  const named = namesInState.safeParse(state).data?.demand.runners.map(([runner]) => runner) ?? [];
  const names = new Set([...(await listRunning(client, group)), ...named]);
  const runners = await pMap(
    names,
    async (runner) => (await findRunner(client, { group, runner, fingerprint })) ?? pMapSkip,
    { concurrency: MAX_CONCURRENT_CALLS },
  );
  // Jobs whose events nobody received are found on the forge.
  if (before !== undefined) {
    const schedule = client.schedule.getHandle(healthScheduleId(group));
    await ignoreMissing(schedule.trigger(ScheduleOverlapPolicy.BUFFER_ONE));
  }
  return { state, runners };
}

/** The last run of the group's dispatcher before this one, where it did not end by itself. */
async function findLastRun(client: Client, group: string): Promise<{ runId: string } | undefined> {
  const own = activityInfo().workflowExecution?.runId;
  let last: { runId: string; startTime: Date } | undefined;
  let listed = 0;
  const query = `WorkflowId = '${dispatcherWorkflowId(group)}' AND WorkflowType = '${DISPATCHER_WORKFLOW}'`;
  for await (const { runId, startTime } of client.workflow.list({ query, pageSize: MAX_RUNS })) {
    if (runId !== own && (last === undefined || startTime > last.startTime)) last = { runId, startTime };
    listed += 1;
    if (listed === MAX_RUNS) break;
  }
  if (last === undefined) return undefined;
  const described = await describeRun(client, dispatcherWorkflowId(group), last.runId);
  return described === undefined || described.status.name === 'COMPLETED' ? undefined : last;
}

const queryState = (client: Client, group: string, runId: string): Promise<unknown> =>
  client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
    client.workflow.getHandle(dispatcherWorkflowId(group), runId).query<unknown>(DISPATCHER_STATE),
  );

async function listRunning(client: Client, group: string): Promise<string[]> {
  const query = `WorkflowType = '${RUNNER_WORKFLOW}' AND BatonGroup = '${group}' AND ExecutionStatus = 'Running'`;
  const names: string[] = [];
  for await (const { workflowId } of client.workflow.list({ query, pageSize: 1000 })) {
    names.push(workflowId.split('/').at(-1) ?? workflowId);
  }
  return names;
}

/** The runner as it counts; undefined where it does not run, or has already reported its end. */
async function findRunner(
  client: Client,
  { group, runner, fingerprint }: { group: string; runner: string; fingerprint: string },
): Promise<AdoptedRunner | undefined> {
  const workflowId = runnerWorkflowId(group, runner);
  const ask = (): Promise<RunnerSlot> =>
    client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      client.workflow.getHandle(workflowId).query<RunnerSlot, [string]>(RUNNER_SLOT, fingerprint),
    );
  const slot = await askFirst(ask, undefined);
  // Afterwards: a runner that ends later reports it to this dispatcher.
  const described = await describeRun(client, workflowId);
  if (described?.status.name !== 'RUNNING') return undefined;
  const { held, ...counted } = slot ?? guessSlot(described);
  return held ? { runner, held, ...counted } : undefined;
}

/** A runner whose workflow does not answer counts until the health check finds it ended. */
function guessSlot({ startTime, searchAttributes }: WorkflowExecutionDescription): RunnerSlot {
  const getAttribute = (name: string): string | null => {
    const value: unknown = searchAttributes[name]?.[0];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
  };
  const [phase, backend, runId] = ['BatonPhase', 'BatonBackend', 'BatonRunId'].map(getAttribute);
  return {
    held: phase !== 'lingering',
    since: startTime.getTime(),
    backend: backend ?? '',
    busy: phase === 'busy' || phase === 'completing',
    leaving: phase === 'removing',
    outdated: false,
    job: null,
    run: runId ? `${runId}/${getAttribute('BatonRunAttempt') ?? 1}` : null,
  };
}

async function describeRun(
  client: Client,
  workflowId: string,
  runId?: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Asks; `otherwise` where the workflow does not exist, or where it does not answer in several attempts of this activity. */
async function askFirst<T, U>(ask: () => Promise<T>, otherwise: U): Promise<T | U> {
  try {
    return await ask();
  } catch (error) {
    if (isMissing(error) || activityInfo().attempt > MAX_ATTEMPTS_TO_ASK) return otherwise;
    throw error;
  }
}
