import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy, type Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { type JobNotice } from '../../contracts/workflows/job.ts';
import type { Bus } from '../../contracts/lib/nats.ts';
import { DelegationStore } from '../../contracts/lib/delegation-store.ts';
import { findProxiesConfig } from '../../contracts/config/delegation.ts';
import {
  DELEGATION_EVENTS,
  DELEGATION_WORKFLOW,
  delegationWorkflowId,
  type DelegationInput,
  type DelegationEvent,
} from '../../contracts/workflows/delegation.ts';
import { delegationMessage, createDelegatedJob, type DelegationMessage } from '../../contracts/messages/delegation.ts';
import type { NatsLink } from '../shared/nats-link.ts';
import type { LiveConfig } from '../shared/live-config.ts';
import { PermanentFailure } from './acknowledgement.ts';
import type { StreamMessage } from './stream-message.ts';
import { classifyTemporalError } from './temporal-errors.ts';
import type { TemporalGate } from './temporal-gate.ts';
import { parseMessage } from './parse-message.ts';

const CONNECT_TIMEOUT_MS = 5000;

export interface DelegationsOptions {
  client: Client;
  gate: TemporalGate;
  link: NatsLink;
  live: LiveConfig;
}

/** What proxies hand over becomes a delegation's workflow; what the forge says of its job goes there. */
export class Delegations {
  readonly #options: DelegationsOptions;
  #opened: { bus: Bus; store: DelegationStore } | undefined;

  constructor(options: DelegationsOptions) {
    this.#options = options;
  }

  /**
   * Handles a message of a proxy.
   *
   * @returns the result to count
   * @throws Hopeless MESSAGE_INVALID, DELEGATION_FORBIDDEN; Interrupted, NotNow
   */
  async handle(message: StreamMessage): Promise<string> {
    const said = parseMessage(delegationMessage, message);
    if (said.kind === 'requested') return await this.#start(said);
    return await this.#tell(said.id, [{ type: 'attempt-ended' }]);
  }

  /** The delegation that a forge's job belongs to, told what the forge says of it; undefined where there is none. */
  async signalOwningDelegation(job: JobNotice): Promise<string | undefined> {
    if (this.#options.live.current.delegation === undefined) return undefined;
    const { jobId: id, runId, runAttempt: attempt, name } = job;
    const owner = await (await this.#store()).owner({ id, runId, attempt, name });
    if (owner !== undefined) await this.#tell(owner, [{ type: 'job', job }]);
    return owner;
  }

  async #start({ id, at, context }: Extract<DelegationMessage, { kind: 'requested' }>): Promise<string> {
    const { client, gate, live } = this.#options;
    const config = live.current;
    const entry = findProxiesConfig(config, context.runnerName);
    const group = config.groups.find(({ name }) => name === entry?.group);
    if (config.delegation === undefined || entry === undefined || group === undefined) {
      throw new PermanentFailure('DELEGATION_FORBIDDEN', `proxy ${context.runnerName} is not configured to delegate`);
    }
    const input: DelegationInput = {
      job: createDelegatedJob(id, context, at),
      proxies: {
        group: group.name,
        scope: { organization: group.organization, repository: group.repository },
        names: entry.names,
        labels: entry.labels,
      },
      waitForRunnerMs: config.delegation.wait_for_runner,
    };
    return await gate.call(async () => {
      try {
        await client.workflow.start(DELEGATION_WORKFLOW, {
          workflowId: delegationWorkflowId(id),
          taskQueue: TASK_QUEUE.orchestrator,
          args: [input],
          workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
          staticSummary: `${context.repository}: ${context.jobId} from ${context.runnerName}`.slice(0, 190),
          typedSearchAttributes: [
            { key: SEARCH_ATTRIBUTES.group, value: group.name },
            { key: SEARCH_ATTRIBUTES.forge, value: config.forge.type },
            { key: SEARCH_ATTRIBUTES.repository, value: context.repository },
            { key: SEARCH_ATTRIBUTES.phase, value: 'queued' },
          ],
        });
        return 'delivered';
      } catch (error) {
        // The same job twice, or the message again.
        if (error instanceof WorkflowExecutionAlreadyStartedError) return 'closed';
        throw error;
      }
    });
  }

  async #tell(id: string, news: DelegationEvent[]): Promise<string> {
    const { client, gate } = this.#options;
    try {
      await gate.call(() => client.workflow.getHandle(delegationWorkflowId(id)).signal(DELEGATION_EVENTS, news));
      return 'delivered';
    } catch (error) {
      const trouble = classifyTemporalError(error);
      // It looks at the forge itself; what it misses costs it a moment.
      if (trouble === 'closed' || trouble === 'missing') return 'closed';
      throw error;
    }
  }

  async #store(): Promise<DelegationStore> {
    const bus = await this.#options.link.connected(CONNECT_TIMEOUT_MS);
    if (this.#opened?.bus !== bus) this.#opened = { bus, store: await DelegationStore.open(bus) };
    return this.#opened.store;
  }
}
