import { activityInfo } from '@temporalio/activity';
import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy, type Client } from '@temporalio/client';
import pMap from 'p-map';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import {
  RUNNER_EVENTS,
  RUNNER_WORKFLOW,
  type RunnerInput,
  type RunnerEvent,
  runnerWorkflowId,
} from '../../contracts/workflows/runner.ts';
import { type OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import type { StartPacer } from '../../contracts/ports/start-pacer.ts';
import { CAPACITY_EVENTS, type CapacityEvent, capacityWorkflowId } from '../../contracts/workflows/capacity.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import { withHeartbeats } from '../lib/heartbeat.ts';
import { ignoreMissing } from '../lib/missing.ts';
import type { SignalDispatcher } from './signaller.ts';
import { findTakeover } from './takeover.ts';

/** More calls at once would only queue in the Temporal server. */
const CONCURRENTLY = { concurrency: 16 };

/**
 * Starts and signals workflows through Temporal's client. One activity for fifty runners adds a few events to a
 * history; child workflows and external signals add three to six for each runner, and at most 2,000 children may be
 * open.
 *
 * @param client on the worker's own connection: runners then start eagerly on this worker
 * @param signalDispatcher may send several calls' events in one signal
 * @param pacer says how many runners may start now
 */
export function createDispatcherActivities(
  client: Client,
  signalDispatcher: SignalDispatcher,
  pacer: StartPacer,
): OrchestratorActivities {
  return {
    async startRunners({ settings, runners, idle, again }) {
      const start = (names: readonly string[]): Promise<unknown> =>
        pMap(names, (runner) => startRunner(client, settings, runner), CONCURRENTLY);
      // An earlier attempt may have started some of these runners, and how many it was allowed is lost: so that the dispatcher
      // counts each runner that exists, this attempt starts them all.
      if (again || activityInfo().attempt > 1) {
        await start(runners);
        return { started: runners.length, nextAt: null, perMinute: null, reason: null };
      }
      const wanted = { jobs: runners.length - idle, idle };
      const { allowed, nextAt, perMinute, reason } = await pacer.take(settings.scope, settings.name, wanted);
      await start(runners.slice(0, allowed));
      return { started: allowed, nextAt: nextAt === null ? null : new Date(nextAt).toISOString(), perMinute, reason };
    },

    findTakeover: (order) => withHeartbeats(() => findTakeover(client, order)),

    async retireRunners({ group, runners }) {
      const events: RunnerEvent[] = [{ type: 'retire' }];
      await pMap(
        runners,
        (runner) => {
          const handle = client.workflow.getHandle(runnerWorkflowId(group, runner));
          return ignoreMissing(handle.signal(RUNNER_EVENTS, events));
        },
        CONCURRENTLY,
      );
    },

    async requestSlots(request) {
      const events: CapacityEvent[] = [{ type: 'request', request }];
      // No capacity workflow: the cap was just removed, or is about to be set. All dispatchers then send a new request.
      await ignoreMissing(
        client.workflow.getHandle(capacityWorkflowId(request.backend)).signal(CAPACITY_EVENTS, events),
      );
    },

    async grantSlots(grants) {
      await pMap(grants, ({ group, grant }) => signalDispatcher(group, [{ type: 'slots', grant }]), CONCURRENTLY);
    },
  };
}

async function startRunner(client: Client, settings: GroupSettings, runner: string): Promise<void> {
  const input: RunnerInput = { settings, runner };
  try {
    await client.workflow.start(RUNNER_WORKFLOW, {
      workflowId: runnerWorkflowId(settings.name, runner),
      taskQueue: TASK_QUEUE.runners,
      args: [input],
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      requestEagerStart: true,
      staticSummary: `${settings.name} runner on ${settings.backend}`,
      staticDetails: toStaticDetails(settings),
      typedSearchAttributes: [
        { key: SEARCH_ATTRIBUTES.group, value: settings.name },
        { key: SEARCH_ATTRIBUTES.forge, value: settings.forge },
        { key: SEARCH_ATTRIBUTES.backend, value: settings.backend },
        { key: SEARCH_ATTRIBUTES.phase, value: 'provisioning' },
      ],
      memo: { installation: settings.installation, labels: settings.labels, scope: settings.scope },
    });
  } catch (error) {
    // An earlier attempt of this activity started it, and its result was lost.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** What stays the same for the runner's whole life, as markdown. */
function toStaticDetails({ scope, labels, instance, installation }: GroupSettings): string {
  const { image, cpu, memoryBytes, user } = instance;
  const facts = [
    `**Belongs to** ${scope.repository ? `${scope.organization}/${scope.repository}` : scope.organization} (installation ${installation})`,
    `**Labels** ${labels.map((label) => `\`${label}\``).join(' ')}`,
    `**Instance** ${image ? `\`${image}\`` : 'no image'}, ${cpu ?? 'all'} CPU, ${memoryBytes ? `${Math.round(memoryBytes / 1024 ** 2)} MiB` : 'all memory'}, user ${user}`,
  ];
  return facts.join('\n\n');
}
