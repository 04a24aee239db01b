import { WorkflowIdConflictPolicy, WorkflowNotFoundError, type Client } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  DISPATCHER_NEWS,
  dispatcherWorkflowId,
  PLACES_NEWS,
  placesWorkflowId,
  TASK_QUEUE,
  WORKFLOW,
  type DispatcherNews,
  type PlacesInput,
  type PlacesNews,
} from '../../../contracts/workflows/actors.ts';
import type { Config } from '../../../contracts/config/config.ts';
import { groupSettings } from '../../../contracts/config/group-settings.ts';
import { dispatcherStart } from '../../shared/dispatcher-start.ts';

/**
 * Brings the actors in step with the configuration: keepers of capped backends, dispatchers of all groups (started where they
 * don't run yet), and those of groups that are no longer there. Safe to repeat, and from several orchestrators at once.
 */
export async function configureActors(client: Client, config: Config): Promise<void> {
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
      const settings = groupSettings(config, group);
      const start = dispatcherStart(config, group, [{ type: 'configure', settings }]);
      await client.workflow.signalWithStart(WORKFLOW.dispatcher, start);
    }),
  );
  await retireActors(client, config);
}

/** Tells dispatchers whose group, and keepers whose cap, is no longer in the configuration; they end once nothing is left of it. */
export async function retireActors(client: Client, config: Config): Promise<void> {
  const removed: DispatcherNews[] = [{ type: 'removed' }];
  const wanted = new Set(config.groups.map(({ name }) => dispatcherWorkflowId(name)));
  for (const id of await running(client, WORKFLOW.dispatcher)) {
    if (!wanted.has(id)) await client.workflow.getHandle(id).signal(DISPATCHER_NEWS, removed).catch(unlessGone);
  }
  const uncapped: PlacesNews[] = [{ type: 'configure', max: null, groups: [] }];
  const capped = new Set(
    Object.entries(config.backends).flatMap(([name, { max }]) => (max === undefined ? [] : [placesWorkflowId(name)])),
  );
  for (const id of await running(client, WORKFLOW.places)) {
    if (!capped.has(id)) await client.workflow.getHandle(id).signal(PLACES_NEWS, uncapped).catch(unlessGone);
  }
}

async function configureKeeper(client: Client, backend: string, news: PlacesNews): Promise<void> {
  const input: PlacesInput = { backend };
  const args: [PlacesInput] = [input];
  const signalArgs: [PlacesNews[]] = [[news]];
  await client.workflow.signalWithStart(WORKFLOW.places, {
    workflowId: placesWorkflowId(backend),
    taskQueue: TASK_QUEUE.orchestrator,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args,
    signal: PLACES_NEWS,
    signalArgs,
    staticSummary: `places of backend ${backend}`,
    typedSearchAttributes: [{ key: defineSearchAttributeKey('BatonBackend', 'KEYWORD'), value: backend }],
  });
}

/** By visibility, which may lag: what is missed now is found by the next look. */
async function running(client: Client, type: string): Promise<string[]> {
  const ids: string[] = [];
  const query = `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId);
  return ids;
}

function unlessGone(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}
