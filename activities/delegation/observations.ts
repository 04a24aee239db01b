import { WorkflowFailedError, type Client } from '@temporalio/client';
import { Context } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import pMap from 'p-map';
import { RUNNER_INSTANCE, type RunnerInstance, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import {
  DELEGATION_EVENTS,
  delegationWorkflowId,
  type DelegationEvent,
  type GroupView,
} from '../../contracts/workflows/delegation.ts';
import { type SignalActivities } from '../../contracts/ports/signal-activities.ts';
import { ignoreMissing, isMissing } from '../lib/missing.ts';

/** How long a group's view is used: many delegations of a group share it. */
const VIEW_CACHE_MS = 1000;

/** So often a runner whose job has ended is asked whether its program has exited. */
const MAX_END_ATTEMPTS = 5;
/** More calls at once would only queue in the Temporal server. */
const MAX_CONCURRENT_SIGNALS = 16;

/** What delegations read of other workflows, and their proxies' answers to them, through Temporal's client. */
export function createObservationActivities(
  client: Client,
): Pick<SignalActivities, 'observeGroup' | 'describeRunner' | 'describeEndedRunner' | 'signalDelegations'> {
  const views = new Map<string, { at: number; view: Promise<GroupView> }>();
  return {
    async observeGroup({ group }) {
      const last = views.get(group);
      if (last !== undefined && Date.now() - last.at < VIEW_CACHE_MS) return await last.view;
      const view = loadGroupView(client, group);
      views.set(group, { at: Date.now(), view });
      return await view;
    },

    describeRunner: ({ group, runner }) => describeInstance(client, runnerWorkflowId(group, runner)),

    async describeEndedRunner({ group, runner }) {
      const instance = await describeInstance(client, runnerWorkflowId(group, runner));
      const hasEnded = instance === null || instance.exited !== null || instance.failure !== null;
      if (hasEnded || Context.current().info.attempt >= MAX_END_ATTEMPTS) return instance;
      throw ApplicationFailure.create({
        message: 'the runner program has not exited yet',
        type: 'RUNNER_NOT_EXITED',
        category: ApplicationFailureCategory.BENIGN,
      });
    },

    async signalDelegations({ ids, events }) {
      const args: [DelegationEvent[]] = [events];
      await pMap(
        ids,
        (id) => ignoreMissing(client.workflow.getHandle(delegationWorkflowId(id)).signal(DELEGATION_EVENTS, ...args)),
        { concurrency: MAX_CONCURRENT_SIGNALS },
      );
    },
  };
}

async function findFirst(client: Client, query: string): Promise<string | undefined> {
  for await (const { workflowId } of client.workflow.list({ query, pageSize: 1 })) return workflowId;
  return undefined;
}

/** @returns null where there is no such workflow */
async function describeInstance(client: Client, workflowId: string): Promise<RunnerInstance | null> {
  try {
    return await client.workflow.getHandle(workflowId).query<RunnerInstance>(RUNNER_INSTANCE);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** How many of the group's runners are online, or else what stops them. From visibility, which lags a little behind. */
async function loadGroupView(client: Client, group: string): Promise<GroupView> {
  const runners = `WorkflowType = 'runner' AND BatonGroup = '${group}'`;
  const open = `${runners} AND ExecutionStatus = 'Running'`;
  const { count } = await client.workflow.count(`${open} AND BatonPhase IN ('idle', 'busy')`);
  if (count > 0) return { online: count, problem: null };
  const alive = await findFirst(client, `${open} AND BatonPhase != 'lingering'`);
  if (alive !== undefined) {
    const { raw } = await client.workflow.getHandle(alive).describe();
    const stuck = raw.pendingActivities?.find(({ lastFailure }) => lastFailure?.message);
    if (stuck) return { online: 0, problem: `${alive}, attempt ${stuck.attempt}: ${stuck.lastFailure?.message ?? ''}` };
  }
  // Its instance is gone, and only the forge keeps its workflow from failing.
  const lingering = await findFirst(client, `${open} AND BatonPhase = 'lingering'`);
  const failure = lingering === undefined ? null : (await describeInstance(client, lingering))?.failure;
  if (failure) return { online: 0, problem: `${lingering} failed: ${failure}` };
  if (alive !== undefined) return { online: 0, problem: null };
  const failed = await findFirst(client, `${runners} AND ExecutionStatus = 'Failed'`);
  const problem = failed === undefined ? null : `${failed} failed: ${await getFailureMessage(client, failed)}`;
  return { online: 0, problem };
}

async function getFailureMessage(client: Client, workflowId: string): Promise<string> {
  try {
    await client.workflow.getHandle(workflowId).result();
  } catch (error) {
    if (error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure) return error.cause.message;
  }
  return 'see the workflow in Temporal';
}
