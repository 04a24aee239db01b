import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter, toPayloads } from '@temporalio/common';
import type { Histogram } from 'prom-client';
import {
  DISPATCHER_EVENTS,
  DISPATCHER_WORKFLOW,
  type DispatcherEvent,
  dispatcherWorkflowId,
} from '../../contracts/workflows/dispatcher.ts';
import { RUNNER_EVENTS, type RunnerEvent, runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import type { GroupConfig } from '../../contracts/config/group.ts';
import { createDispatcherStart } from '../shared/dispatcher-start.ts';
import type { LiveConfig } from '../shared/live-config.ts';
import { SignalBatcher, type Item } from '../shared/signal-batcher.ts';
import { classifyTemporalError } from './temporal-errors.ts';
import type { TemporalGate } from './temporal-gate.ts';

/**
 * How long an event that a runner only shows may wait for its next one, so that one workflow task handles both: the forge reports
 * the start of a job about when its hook does, and the agent's exit follows the end of a job.
 */
const RUNNER_WAIT_MS = 1000;

/** Whether the workflow received the signal, or why it did not. */
export type SignalResult = 'delivered' | 'closed' | 'missing';

/** The message that an event comes from, and its size. */
export interface EventSource {
  id: string;
  bytes: number;
}

interface DispatcherItem {
  event: DispatcherEvent;
  /** An event from a webhook may start the dispatcher; an event from an instance never does. */
  mayStart: boolean;
}

export interface WorkflowSignalsOptions {
  client: Client;
  gate: TemporalGate;
  live: LiveConfig;
  batchSize: Histogram<'actor'>;
  callSeconds: Histogram<'actor'>;
}

/** Signals dispatchers and runners: in batches, idempotently, and waits while Temporal does not answer. */
export class WorkflowSignals {
  readonly #options: WorkflowSignalsOptions;
  readonly #dispatchers: SignalBatcher<DispatcherItem, SignalResult>;
  readonly #runners: SignalBatcher<RunnerEvent, SignalResult>;

  constructor(options: WorkflowSignalsOptions) {
    this.#options = options;
    this.#dispatchers = new SignalBatcher((group, items) => this.#sendToDispatcher(group, items), isRefused);
    this.#runners = new SignalBatcher((id, items) => this.#sendToRunner(id, items), isRefused);
  }

  /**
   * Signals what the forge reported to a group's dispatcher, starting the dispatcher where it does not run. The
   * dispatcher of a group that is no longer in the configuration is signalled, but never started.
   *
   * @throws ShuttingDown, RetryLater; Temporal's error where it will never accept the event
   */
  signalDispatcher(group: string, event: DispatcherEvent, source: EventSource): Promise<SignalResult> {
    return this.#dispatchers.add(group, { ...source, value: { event, mayStart: true } });
  }

  /** Like {@link signalDispatcher}, for events from inside an instance: never starts a dispatcher. */
  signalRunningDispatcher(group: string, event: DispatcherEvent, source: EventSource): Promise<SignalResult> {
    return this.#dispatchers.add(group, { ...source, value: { event, mayStart: false } });
  }

  /** Signals a runner; never starts one. Errors as in {@link signalDispatcher}. */
  signalRunner(group: string, runner: string, event: RunnerEvent, source: EventSource): Promise<SignalResult> {
    return this.#runners.add(
      runnerWorkflowId(group, runner),
      { ...source, value: event },
      mayWait(event) ? RUNNER_WAIT_MS : 0,
    );
  }

  async #sendToDispatcher(group: string, items: Item<DispatcherItem>[]): Promise<SignalResult> {
    const events = items.map(({ value }) => value.event);
    const settings = this.#options.live.current.groups.find(({ name }) => name === group);
    const id = dispatcherWorkflowId(group);
    if (settings === undefined || !items.some(({ value }) => value.mayStart)) {
      return this.#signal('dispatcher', id, DISPATCHER_EVENTS, events, items);
    }
    return this.#measure('dispatcher', items.length, async () => {
      await this.#signalWithStart(settings, events);
      return 'delivered' as const;
    });
  }

  #sendToRunner(id: string, items: Item<RunnerEvent>[]): Promise<SignalResult> {
    const events = items.map(({ value }) => value);
    return this.#signal('runner', id, RUNNER_EVENTS, events, items);
  }

  async #signalWithStart(group: GroupConfig, events: DispatcherEvent[]): Promise<void> {
    const { client, live, gate } = this.#options;
    await gate.call(() =>
      client.workflow.signalWithStart(DISPATCHER_WORKFLOW, createDispatcherStart(live.current, group, events)),
    );
  }

  /**
   * Sends one signal. Its request id is made of the items' ids, so that the server accepts a repeated signal only once.
   */
  async #signal(
    actor: 'dispatcher' | 'runner',
    workflowId: string,
    signalName: string,
    events: readonly unknown[],
    items: readonly Item<unknown>[],
  ): Promise<SignalResult> {
    const { client, gate } = this.#options;
    const payloads = toPayloads(defaultPayloadConverter, events) ?? [];
    return this.#measure(actor, items.length, async () => {
      try {
        await gate.call(() =>
          client.workflowService.signalWorkflowExecution({
            namespace: client.options.namespace,
            identity: client.options.identity,
            workflowExecution: { workflowId },
            signalName,
            input: { payloads },
            requestId: toRequestId(items),
          }),
        );
        return 'delivered';
      } catch (error) {
        const errorClass = classifyTemporalError(error);
        if (errorClass === 'closed' || errorClass === 'missing') return errorClass;
        throw error;
      }
    });
  }

  async #measure<T>(actor: string, items: number, work: () => Promise<T>): Promise<T> {
    const { batchSize, callSeconds } = this.#options;
    batchSize.observe({ actor }, items);
    const stopTimer = callSeconds.startTimer({ actor });
    try {
      return await work();
    } finally {
      stopTimer();
    }
  }
}

function mayWait(event: RunnerEvent): boolean {
  if (event.type === 'job') return event.job.action === 'completed';
  if (event.type !== 'signal') return false;
  const { kind } = event.signal;
  return kind === 'started' || kind === 'completed' || kind === 'resources';
}

function isRefused(error: unknown): boolean {
  return classifyTemporalError(error) === 'refused';
}

function toRequestId(items: readonly Item<unknown>[]): string {
  const hash = createHash('sha256');
  for (const { id } of items) hash.update(id).update('\n');
  return hash.digest('hex').slice(0, 32);
}
