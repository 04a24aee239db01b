import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import {
  DISPATCHER_STATUS,
  DISPATCHER_WORKFLOW,
  type DispatcherSnapshot,
  dispatcherWorkflowId,
} from '../../../contracts/workflows/dispatcher.ts';
import { RESOURCES_MEMO } from '../../../contracts/workflows/runner.ts';
import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { messageOf } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { ForgeLimit, GroupStatus, RunnerStatus, Status } from '../../../contracts/messages/status.ts';
import { PHASES, type Phase } from '../../../contracts/workflows/phase.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import { DeadLetterView } from './dead-letter-view.ts';

const OPEN_AT_MOST = 500;
const CLOSED_AT_MOST = 50;
const DEAD_LETTERS_SHOWN = 10;
/** Askers within this time share one look. */
const FRESH_MS = 500;
/** A dispatcher that doesn't answer by then is shown without numbers. */
const QUERY_MS = 2000;

export interface StatusReporterOptions {
  bus: Bus;
  client: Client;
  live: LiveConfig;
  /** What the forge still allows. */
  limits: () => ForgeLimit[];
  log: Logger;
}

/** Answers "what is going on?" on the bus, from Temporal's visibility and the dispatchers' own word. */
export class StatusReporter {
  readonly #options: StatusReporterOptions;
  readonly #deadLetters: DeadLetterView;
  #last: { at: number; status: Promise<Status> } | undefined;

  constructor(options: StatusReporterOptions) {
    this.#options = options;
    this.#deadLetters = new DeadLetterView(options.bus);
  }

  /** Takes questions, shared with every other orchestrator, until `stop` fires. */
  async run(stop: AbortSignal): Promise<void> {
    const subscription = this.#options.bus.subscribe(subjects.status, { queue: 'status' });
    const drain = (): void => void subscription.drain();
    stop.addEventListener('abort', drain);
    if (stop.aborted) drain();
    for await (const message of subscription) {
      this.#fresh().then(
        (status) => message.respond(encode(status)),
        (error: unknown) => this.#options.log.warn({ reason: messageOf(error) }, 'status could not be told'),
      );
    }
  }

  async #fresh(): Promise<Status> {
    if (this.#last === undefined || Date.now() - this.#last.at > FRESH_MS) {
      this.#last = { at: Date.now(), status: this.#look() };
    }
    return await this.#last.status;
  }

  async #look(): Promise<Status> {
    const config = this.#options.live.current;
    const [groups, open, closed, deadLetters] = await Promise.all([
      this.#groups(),
      this.#runners(`ExecutionStatus = 'Running'`, OPEN_AT_MOST),
      this.#runners(`ExecutionStatus != 'Running' AND ExecutionStatus != 'ContinuedAsNew'`, CLOSED_AT_MOST),
      this.#deadLetters.look(DEAD_LETTERS_SHOWN),
    ]);
    return {
      version: 1,
      installation: config.name,
      at: new Date().toISOString(),
      temporalUi: config.temporal.ui_url ?? null,
      namespace: config.temporal.namespace,
      groups,
      runners: [...open, ...closed],
      deadLetters: deadLetters.count,
      unserved: deadLetters.newest,
      forge: this.#options.limits(),
    };
  }

  /** Those of the configuration, and those that are no longer there and still drain. */
  async #groups(): Promise<GroupStatus[]> {
    const { client, live } = this.#options;
    const names = new Set(live.current.groups.map(({ name }) => name));
    const query = `WorkflowType = '${DISPATCHER_WORKFLOW}' AND ExecutionStatus = 'Running'`;
    for await (const { workflowId } of client.workflow.list({ query })) names.add(workflowId.slice('group/'.length));
    return await Promise.all([...names].map((name) => this.#group(name)));
  }

  async #group(name: string): Promise<GroupStatus> {
    const { client, live, log } = this.#options;
    const configured = live.current.groups.find((group) => group.name === name);
    const base = {
      name,
      backend: configured?.backend ?? '',
      labels: configured?.labels ?? [],
      min: configured?.min ?? 0,
      max: configured?.max ?? 0,
    };
    try {
      const handle = client.workflow.getHandle(dispatcherWorkflowId(name));
      const query = (): Promise<DispatcherSnapshot> => handle.query<DispatcherSnapshot>(DISPATCHER_STATUS);
      const { settings, ...numbers } = await client.withDeadline(Date.now() + QUERY_MS, query);
      const { max, min, labels, backend } = settings;
      return { name, backend, labels, min, max, ...numbers };
    } catch (error) {
      log.warn({ group: name, reason: messageOf(error) }, 'the dispatcher did not answer');
      const none = { waiting: 0, oldestWaitingSince: null, busy: 0, ready: 0, backoffUntil: null, wantedSlots: 0 };
      return { ...base, ...none, mode: 'active', removed: configured === undefined };
    }
  }

  async #runners(condition: string, most: number): Promise<RunnerStatus[]> {
    const { client, live } = this.#options;
    const query = `WorkflowType = 'runner' AND ${condition}`;
    const found: RunnerStatus[] = [];
    for await (const execution of client.workflow.list({ query, pageSize: Math.min(most, 200) })) {
      found.push(runnerStatus(execution, live.current.forge.url));
      if (found.length >= most) break;
    }
    return found;
  }
}

function runnerStatus(execution: WorkflowExecutionInfo, forgeUrl: string): RunnerStatus {
  const attribute = (name: string): string | null => {
    const value: unknown = execution.searchAttributes[name]?.[0];
    return typeof value === 'string' ? value : null;
  };
  const [repository, runId, jobId] = ['BatonRepository', 'BatonRunId', 'BatonJobId'].map(attribute);
  const said = PHASES.find((phase) => phase === attribute('BatonPhase'));
  return {
    name: execution.workflowId.split('/').at(-1) ?? execution.workflowId,
    group: attribute('BatonGroup') ?? '',
    backend: attribute('BatonBackend') ?? '',
    phase: phaseOf(execution, said),
    repository: repository ?? null,
    workflow: attribute('BatonWorkflow'),
    job: attribute('BatonJob'),
    jobId: jobId ?? null,
    jobUrl:
      repository && runId && jobId ? new URL(`/${repository}/actions/runs/${runId}/job/${jobId}`, forgeUrl).href : null,
    resources: memoText(execution, RESOURCES_MEMO),
    startedAt: execution.startTime.toISOString(),
    closedAt: execution.closeTime?.toISOString() ?? null,
  };
}

function memoText({ memo }: WorkflowExecutionInfo, name: string): string | null {
  const value = memo?.[name];
  return typeof value === 'string' ? value : null;
}

/** A workflow that someone terminated never said that it ended. */
function phaseOf(execution: WorkflowExecutionInfo, said: Phase | undefined): Phase {
  if (execution.status.name === 'RUNNING') return said ?? 'provisioning';
  return said === 'gone' ? 'gone' : 'failed';
}
