import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { z } from 'zod';
import {
  DISPATCHER_STATUS,
  DISPATCHER_WORKFLOW,
  type DispatcherSnapshot,
  dispatcherWorkflowId,
} from '../../../contracts/workflows/dispatcher.ts';
import { RESOURCES_MEMO } from '../../../contracts/workflows/runner.ts';
import type { Bus } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { ForgeLimit, GroupStatus, RunnerStatus, Status } from '../../../contracts/messages/status.ts';
import { PHASES, type Phase } from '../../../contracts/workflows/phase.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import type { RequestHandler } from '../../shared/request-server.ts';
import type { LingeringRegistrations } from '../lingering.ts';
import { DeadLetterView } from './dead-letter-view.ts';

const MAX_OPEN_RUNNERS = 500;
const MAX_CLOSED_RUNNERS = 50;
const MAX_DEAD_LETTERS = 10;
/** Requests within this time share one answer. */
const MAX_AGE_MS = 500;
/** A dispatcher that hasn't answered by then is shown without numbers. */
const QUERY_TIMEOUT_MS = 2000;

export interface StatusOptions {
  bus: Bus;
  client: Client;
  live: LiveConfig;
  /** What the forge's rate limits still allow. */
  limits: () => ForgeLimit[];
  lingering: LingeringRegistrations;
  log: Logger;
}

/** Shows groups, runners, dead letters and rate limits, from Temporal's visibility and the dispatchers. */
export function createStatusHandler(options: StatusOptions): RequestHandler<unknown> {
  const deadLetters = new DeadLetterView(options.bus);
  let latest: { at: number; status: Promise<Status> } | undefined;
  return {
    name: 'status query',
    subject: subjects.status,
    queueGroup: 'status',
    schema: z.unknown(),
    handle: () => {
      if (latest === undefined || Date.now() - latest.at > MAX_AGE_MS) {
        latest = { at: Date.now(), status: collectStatus(options, deadLetters) };
      }
      return latest.status;
    },
    // A status has no form for an error: the requester sees a timeout.
    onError: () => undefined,
    // The status page asks every second, and a query may wait for a Temporal that is down.
    finishOnStop: false,
  };
}

async function collectStatus(options: StatusOptions, deadLetters: DeadLetterView): Promise<Status> {
  const config = options.live.current;
  const [groups, open, closed, dead] = await Promise.all([
    listGroups(options),
    // A lingering one is no runner any more: its group shows how many there are.
    listRunners(options, `ExecutionStatus = 'Running' AND BatonPhase != 'lingering'`, MAX_OPEN_RUNNERS),
    listRunners(options, `ExecutionStatus != 'Running' AND ExecutionStatus != 'ContinuedAsNew'`, MAX_CLOSED_RUNNERS),
    deadLetters.read(MAX_DEAD_LETTERS),
  ]);
  return {
    version: 1,
    installation: config.name,
    at: new Date().toISOString(),
    temporalUi: config.temporal.ui_url ?? null,
    namespace: config.temporal.namespace,
    olderFile: options.live.notice,
    groups,
    runners: [...open, ...closed],
    deadLetters: dead.count,
    unserved: dead.newest,
    forge: options.limits(),
  };
}

/** The groups of the configuration, and removed ones that still drain. */
async function listGroups(options: StatusOptions): Promise<GroupStatus[]> {
  const { client, live } = options;
  const names = new Set(live.current.groups.map(({ name }) => name));
  const query = `WorkflowType = '${DISPATCHER_WORKFLOW}' AND ExecutionStatus = 'Running'`;
  for await (const { workflowId } of client.workflow.list({ query })) names.add(workflowId.slice('group/'.length));
  const lingering = await options.lingering.count();
  const groups = await Promise.all([...names].map((name) => getGroupStatus(options, name)));
  return groups.map((group) => ({ ...group, lingering: lingering.get(group.name) ?? 0 }));
}

async function getGroupStatus(
  { client, live, log }: StatusOptions,
  name: string,
): Promise<Omit<GroupStatus, 'lingering'>> {
  const configured = live.current.groups.find((group) => group.name === name);
  try {
    const handle = client.workflow.getHandle(dispatcherWorkflowId(name));
    const query = (): Promise<DispatcherSnapshot> => handle.query<DispatcherSnapshot>(DISPATCHER_STATUS);
    const { settings, ...numbers } = await client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, query);
    const { max, min, labels, backend } = settings;
    return { name, backend, labels, min, max, ...numbers };
  } catch (error) {
    log.warn({ group: name, reason: getErrorMessage(error) }, 'dispatcher query failed');
    return {
      name,
      backend: configured?.backend ?? '',
      labels: configured?.labels ?? [],
      min: configured?.min ?? 0,
      max: configured?.max ?? 0,
      waiting: 0,
      oldestWaitingSince: null,
      passedOver: null,
      busy: 0,
      ready: 0,
      leaving: 0,
      backoffUntil: null,
      pace: null,
      wantedSlots: 0,
      mode: 'active',
      removed: configured === undefined,
    };
  }
}

async function listRunners({ client, live }: StatusOptions, condition: string, limit: number): Promise<RunnerStatus[]> {
  const query = `WorkflowType = 'runner' AND ${condition}`;
  const runners: RunnerStatus[] = [];
  for await (const execution of client.workflow.list({ query, pageSize: Math.min(limit, 200) })) {
    runners.push(toRunnerStatus(execution, live.current.forge.url));
    if (runners.length >= limit) break;
  }
  return runners;
}

function toRunnerStatus(execution: WorkflowExecutionInfo, forgeUrl: string): RunnerStatus {
  const getAttribute = (name: string): string | null => {
    const value: unknown = execution.searchAttributes[name]?.[0];
    return typeof value === 'string' ? value : null;
  };
  const [repository, runId, jobId] = ['BatonRepository', 'BatonRunId', 'BatonJobId'].map(getAttribute);
  const lastPhase = PHASES.find((phase) => phase === getAttribute('BatonPhase'));
  return {
    name: execution.workflowId.split('/').at(-1) ?? execution.workflowId,
    group: getAttribute('BatonGroup') ?? '',
    backend: getAttribute('BatonBackend') ?? '',
    phase: toPhase(execution, lastPhase),
    repository: repository ?? null,
    workflow: getAttribute('BatonWorkflow'),
    job: getAttribute('BatonJob'),
    jobId: jobId ?? null,
    jobUrl:
      repository && runId && jobId ? new URL(`/${repository}/actions/runs/${runId}/job/${jobId}`, forgeUrl).href : null,
    resources: readTextMemo(execution, RESOURCES_MEMO),
    startedAt: execution.startTime.toISOString(),
    closedAt: execution.closeTime?.toISOString() ?? null,
  };
}

function readTextMemo({ memo }: WorkflowExecutionInfo, name: string): string | null {
  const value = memo?.[name];
  return typeof value === 'string' ? value : null;
}

/** A terminated workflow could not set its last phase. */
function toPhase(execution: WorkflowExecutionInfo, lastPhase: Phase | undefined): Phase {
  if (execution.status.name === 'RUNNING') return lastPhase ?? 'provisioning';
  return lastPhase === 'gone' ? 'gone' : 'failed';
}
