import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy, type Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { type JobNotice } from '../../contracts/workflows/job.ts';
import { findProxiesConfig } from '../../contracts/config/delegation.ts';
import {
  DELEGATION_EVENTS,
  DELEGATION_WORKFLOW,
  delegationWorkflowId,
  type DelegationInput,
  type DelegationEvent,
} from '../../contracts/workflows/delegation.ts';
import { delegationMessage, createDelegatedJob, type DelegationMessage } from '../../contracts/messages/delegation.ts';
import { DelegationStoreLink } from '../shared/delegation-store-link.ts';
import type { NatsLink } from '../shared/nats-link.ts';
import type { LiveConfig } from '../shared/live-config.ts';
import { PermanentFailure } from './message-errors.ts';
import { parseMessage } from './parse-message.ts';
import type { StreamMessage } from './stream-message.ts';
import { classifyTemporalError } from './temporal-errors.ts';
import type { TemporalGate } from './temporal-gate.ts';

const CONNECT_TIMEOUT_MS = 5000;

export interface DelegationsOptions {
  client: Client;
  gate: TemporalGate;
  link: NatsLink;
  live: LiveConfig;
}

/**
 * Starts a delegation's workflow for each job that a proxy delegates, and signals it what the forge reports about the
 * job.
 */
export class Delegations {
  readonly #options: DelegationsOptions;
  readonly #store: DelegationStoreLink;

  constructor(options: DelegationsOptions) {
    this.#options = options;
    this.#store = new DelegationStoreLink(options.link);
  }

  /**
   * Handles a proxy's message.
   *
   * @returns the result to count
   * @throws PermanentFailure MESSAGE_INVALID, DELEGATION_FORBIDDEN; ShuttingDown, RetryLater
   */
  async handle(message: StreamMessage): Promise<string> {
    const received = parseMessage(delegationMessage, message);
    if (received.kind === 'requested') return await this.#start(received);
    return await this.#signal(received.id, [{ type: 'attempt-ended' }]);
  }

  /**
   * Signals the delegation that the job belongs to.
   *
   * @returns its id; undefined where the job belongs to none
   */
  async signalOwningDelegation(job: JobNotice): Promise<string | undefined> {
    if (this.#options.live.current.delegation === undefined) return undefined;
    const { jobId: id, runId, runAttempt: attempt, name } = job;
    const { store } = await this.#store.connected(CONNECT_TIMEOUT_MS);
    const owner = await store.owner({ id, runId, attempt, name });
    if (owner !== undefined) await this.#signal(owner, [{ type: 'job', job }]);
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
        asOf: new Date().toISOString(),
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
        // The proxy delegated the same job twice, or the message was delivered again.
        if (error instanceof WorkflowExecutionAlreadyStartedError) return 'closed';
        throw error;
      }
    });
  }

  async #signal(id: string, events: DelegationEvent[]): Promise<string> {
    const { client, gate } = this.#options;
    try {
      await gate.call(() => client.workflow.getHandle(delegationWorkflowId(id)).signal(DELEGATION_EVENTS, events));
      return 'delivered';
    } catch (error) {
      const errorClass = classifyTemporalError(error);
      // A delegation also polls the forge: it learns of a missed event a little later.
      if (errorClass === 'closed' || errorClass === 'missing') return 'closed';
      throw error;
    }
  }
}
