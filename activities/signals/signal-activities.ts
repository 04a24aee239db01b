import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
  type Client,
} from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  DISPATCHER_MAY_RETIRE,
  DISPATCHER_NEWS,
  dispatcherWorkflowId,
  PLACES_NEWS,
  placesWorkflowId,
  RUNNER_NEWS,
  runnerWorkflowId,
  TASK_QUEUE,
  WORKFLOW,
  type DispatcherNews,
  type GroupSettings,
  type OrchestratorActivities,
  type PlacesNews,
  type RunnerInput,
  type RunnerNews,
  type RunnerReport,
} from '../../contracts/workflows/actors.ts';
import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';

const KEYWORD = {
  group: defineSearchAttributeKey('BatonGroup', 'KEYWORD'),
  forge: defineSearchAttributeKey('BatonForge', 'KEYWORD'),
  backend: defineSearchAttributeKey('BatonBackend', 'KEYWORD'),
  phase: defineSearchAttributeKey('BatonPhase', 'KEYWORD'),
};

/** Calls that go out at once: more only queue up in the server. */
const CALLS_AT_ONCE = 16;

type ActorActivities = Pick<
  OrchestratorActivities,
  'startRunners' | 'retireRunners' | 'reportGone' | 'askRetirement' | 'statePlaces' | 'answerPlaces'
>;

/** Tells a group's dispatcher; resolves when it was told, or when there is none to tell. */
export type TellDispatcher = (group: string, news: DispatcherNews[]) => Promise<void>;

/** One signal a call. */
export function dispatcherTeller(client: Client): TellDispatcher {
  return async (group, news) => {
    // Nobody to tell: the group was removed.
    await client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_NEWS, news).catch(unlessGone);
  };
}

/**
 * What the actors say to one another, over Temporal's client: a few events in a history for fifty runners instead of a
 * child's or an external signal's three to six for each, and no limit of 2,000 open children.
 *
 * @param client on the worker's own connection: runners then start eagerly on this worker
 * @param tellDispatcher how the ends of runners are told: may gather what comes at once
 * @param recordUse writes down what an instance was used for; the same runner twice is once
 * @param trace tells those who trace, where there are any; the same runner twice is once
 */
export function createActorActivities(
  client: Client,
  tellDispatcher: TellDispatcher,
  recordUse: (use: InstanceUse) => Promise<void>,
  trace?: (report: RunnerReport) => void,
): ActorActivities {
  return {
    async startRunners({ settings, runners }) {
      await eachOf(runners, (runner) => startRunner(client, settings, runner));
    },

    async retireRunners({ group, runners }) {
      const news: RunnerNews[] = [{ type: 'retire' }];
      await eachOf(runners, async (runner) => {
        const handle = client.workflow.getHandle(runnerWorkflowId(group, runner));
        await handle.signal(RUNNER_NEWS, news).catch(unlessGone);
      });
    },

    async statePlaces(statement) {
      const news: PlacesNews[] = [{ type: 'statement', statement }];
      // Without a keeper the cap has just been taken away, or is about to be set: then all are asked again.
      await client.workflow.getHandle(placesWorkflowId(statement.backend)).signal(PLACES_NEWS, news).catch(unlessGone);
    },

    async answerPlaces(answers) {
      await eachOf(answers, ({ group, places }) => tellDispatcher(group, [{ type: 'places', places }]));
    },

    async reportGone(report) {
      const { group, outcome, use } = report;
      // First: a bus that is away must not hold up the group.
      await tellDispatcher(group, [{ type: 'gone', outcome }]);
      if (use !== undefined) await recordUse(use);
      trace?.(report);
    },

    async askRetirement({ group, runner }) {
      try {
        const may = await client.workflow
          .getHandle(dispatcherWorkflowId(group))
          .executeUpdate<boolean, [string]>(DISPATCHER_MAY_RETIRE, { args: [runner] });
        return may ? 'retire' : 'keep';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'retire';
        throw error;
      }
    },
  };
}

/** Does it for each, several at a time. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(CALLS_AT_ONCE, items.length) }, worker));
}

/** What is over needs to be told nothing. */
function unlessGone(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}

async function startRunner(client: Client, settings: GroupSettings, runner: string): Promise<void> {
  const input: RunnerInput = { settings, runner };
  try {
    await client.workflow.start(WORKFLOW.runner, {
      workflowId: runnerWorkflowId(settings.name, runner),
      taskQueue: TASK_QUEUE.orchestrator,
      args: [input],
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      requestEagerStart: true,
      staticSummary: `${settings.name} runner on ${settings.backend}`,
      staticDetails: runnerFacts(settings),
      typedSearchAttributes: [
        { key: KEYWORD.group, value: settings.name },
        { key: KEYWORD.forge, value: settings.forge },
        { key: KEYWORD.backend, value: settings.backend },
        { key: KEYWORD.phase, value: 'provisioning' },
      ],
      memo: { manager: settings.manager, labels: settings.labels, scope: settings.scope },
    });
  } catch (error) {
    // The activity ran before and its result was lost.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** What is the same all its life, markdown. */
function runnerFacts({ scope, labels, instance, manager }: GroupSettings): string {
  const { image, cpu, memoryBytes, user } = instance;
  const facts = [
    `**Belongs to** ${scope.repository ? `${scope.organization}/${scope.repository}` : scope.organization}, made by ${manager}`,
    `**Labels** ${labels.map((label) => `\`${label}\``).join(' ')}`,
    `**Instance** ${image ? `\`${image}\`` : 'no image'}, ${cpu ?? 'all'} CPU, ${memoryBytes ? `${Math.round(memoryBytes / 1024 ** 2)} MiB` : 'all memory'}, user ${user}`,
  ];
  return facts.join('\n\n');
}
