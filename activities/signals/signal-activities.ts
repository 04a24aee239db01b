import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
  type Client,
} from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  RUNNER_EVENTS,
  RUNNER_WORKFLOW,
  type RunnerInput,
  type RunnerEvent,
  type RunnerReport,
  runnerWorkflowId,
} from '../../contracts/workflows/runner.ts';
import { type OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import {
  MAY_RETIRE_RUNNER,
  DISPATCHER_EVENTS,
  type DispatcherEvent,
  dispatcherWorkflowId,
} from '../../contracts/workflows/dispatcher.ts';
import { CAPACITY_EVENTS, type CapacityEvent, capacityWorkflowId } from '../../contracts/workflows/capacity.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';

const KEYWORD = {
  group: defineSearchAttributeKey('BatonGroup', 'KEYWORD'),
  forge: defineSearchAttributeKey('BatonForge', 'KEYWORD'),
  backend: defineSearchAttributeKey('BatonBackend', 'KEYWORD'),
  phase: defineSearchAttributeKey('BatonPhase', 'KEYWORD'),
};

/** Calls that go out at once: more only queue up in the server. */
const CALLS_AT_ONCE = 16;

type SignalActivities = Pick<
  OrchestratorActivities,
  'startRunners' | 'retireRunners' | 'reportGone' | 'requestRetirement' | 'requestSlots' | 'grantSlots'
>;

/** Tells a group's dispatcher; resolves when it was told, or when there is none to tell. */
export type SignalDispatcher = (group: string, news: DispatcherEvent[]) => Promise<void>;

/** One signal a call. */
export function createDispatcherSignaller(client: Client): SignalDispatcher {
  return async (group, news) => {
    // Nobody to tell: the group was removed.
    await client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_EVENTS, news).catch(unlessGone);
  };
}

/**
 * What the actors say to one another, over Temporal's client: a few events in a history for fifty runners instead of a
 * child's or an external signal's three to six for each, and no limit of 2,000 open children.
 *
 * @param client on the worker's own connection: runners then start eagerly on this worker
 * @param signalDispatcher how the ends of runners are told: may gather what comes at once
 * @param recordUse writes down what an instance was used for; the same runner twice is once
 * @param trace tells those who trace, where there are any; the same runner twice is once
 */
export function createSignalActivities(
  client: Client,
  signalDispatcher: SignalDispatcher,
  recordUse: (use: InstanceUse) => Promise<void>,
  trace?: (report: RunnerReport) => void,
): SignalActivities {
  return {
    async startRunners({ settings, runners }) {
      await eachOf(runners, (runner) => startRunner(client, settings, runner));
    },

    async retireRunners({ group, runners }) {
      const news: RunnerEvent[] = [{ type: 'retire' }];
      await eachOf(runners, async (runner) => {
        const handle = client.workflow.getHandle(runnerWorkflowId(group, runner));
        await handle.signal(RUNNER_EVENTS, news).catch(unlessGone);
      });
    },

    async requestSlots(request) {
      const news: CapacityEvent[] = [{ type: 'request', request }];
      // Without a keeper the cap has just been taken away, or is about to be set: then all are asked again.
      await client.workflow
        .getHandle(capacityWorkflowId(request.backend))
        .signal(CAPACITY_EVENTS, news)
        .catch(unlessGone);
    },

    async grantSlots(grants) {
      await eachOf(grants, ({ group, grant }) => signalDispatcher(group, [{ type: 'slots', grant }]));
    },

    async reportGone(report) {
      const { group, outcome, use } = report;
      // First: a bus that is away must not hold up the group.
      await signalDispatcher(group, [{ type: 'gone', outcome }]);
      if (use !== undefined) await recordUse(use);
      trace?.(report);
    },

    async requestRetirement({ group, runner }) {
      try {
        const may = await client.workflow
          .getHandle(dispatcherWorkflowId(group))
          .executeUpdate<boolean, [string]>(MAY_RETIRE_RUNNER, { args: [runner] });
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
    await client.workflow.start(RUNNER_WORKFLOW, {
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
      memo: { installation: settings.installation, labels: settings.labels, scope: settings.scope },
    });
  } catch (error) {
    // The activity ran before and its result was lost.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** What is the same all its life, markdown. */
function runnerFacts({ scope, labels, instance, installation }: GroupSettings): string {
  const { image, cpu, memoryBytes, user } = instance;
  const facts = [
    `**Belongs to** ${scope.repository ? `${scope.organization}/${scope.repository}` : scope.organization}, made by ${installation}`,
    `**Labels** ${labels.map((label) => `\`${label}\``).join(' ')}`,
    `**Instance** ${image ? `\`${image}\`` : 'no image'}, ${cpu ?? 'all'} CPU, ${memoryBytes ? `${Math.round(memoryBytes / 1024 ** 2)} MiB` : 'all memory'}, user ${user}`,
  ];
  return facts.join('\n\n');
}
