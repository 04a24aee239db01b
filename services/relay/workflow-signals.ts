import { createHash } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter, toPayloads } from '@temporalio/common';
import type { Histogram } from 'prom-client';
import {
  DISPATCHER_NEWS,
  dispatcherWorkflowId,
  RUNNER_NEWS,
  runnerWorkflowId,
  WORKFLOW,
  type DispatcherNews,
  type RunnerNews,
} from '../../contracts/workflows/actors.ts';
import type { GroupConfig } from '../../contracts/config/group.ts';
import { dispatcherStart } from '../shared/dispatcher-start.ts';
import type { LiveConfig } from '../shared/live-config.ts';
import { Mailbox, type Letter } from '../shared/signal-batcher.ts';
import { temporalTrouble } from './temporal-errors.ts';
import type { TemporalGate } from './temporal-gate.ts';

/** Whether the workflow took the news, or why nobody did. */
export type Told = 'told' | 'closed' | 'missing';

/** Where a piece of news comes from, and its size. */
export interface Source {
  id: string;
  bytes: number;
}

interface DispatcherLetter {
  news: DispatcherNews;
  /** From a forge's webhook: may start a dispatcher. What an instance says never may. */
  mayStart: boolean;
}

export interface ActorsOptions {
  client: Client;
  gate: TemporalGate;
  live: LiveConfig;
  batchSize: Histogram<'actor'>;
  callSeconds: Histogram<'actor'>;
}

/** How the actors are told news: in batches, idempotently, waiting while Temporal is away. */
export class Actors {
  readonly #options: ActorsOptions;
  readonly #dispatchers: Mailbox<DispatcherLetter, Told>;
  readonly #runners: Mailbox<RunnerNews, Told>;

  constructor(options: ActorsOptions) {
    this.#options = options;
    this.#dispatchers = new Mailbox((group, letters) => this.#sendToDispatcher(group, letters), isRefused);
    this.#runners = new Mailbox((id, letters) => this.#sendToRunner(id, letters), isRefused);
  }

  /**
   * Tells a group's dispatcher what the forge says, starting it where it doesn't run. A group that is no longer in the
   * configuration is told, but never started.
   *
   * @throws Interrupted, NotNow (temporal-gate.ts); what Temporal says to news it will never take
   */
  tellDispatcher(group: string, news: DispatcherNews, source: Source): Promise<Told> {
    return this.#dispatchers.post(group, { ...source, value: { news, mayStart: true } });
  }

  /** As {@link tellDispatcher}, for what comes from inside an instance: never starts anything. */
  tellRunningDispatcher(group: string, news: DispatcherNews, source: Source): Promise<Told> {
    return this.#dispatchers.post(group, { ...source, value: { news, mayStart: false } });
  }

  /** Tells a runner; never starts one. Errors as {@link tellDispatcher}. */
  tellRunner(group: string, runner: string, news: RunnerNews, source: Source): Promise<Told> {
    return this.#runners.post(runnerWorkflowId(group, runner), { ...source, value: news });
  }

  async #sendToDispatcher(group: string, letters: Letter<DispatcherLetter>[]): Promise<Told> {
    const news = letters.map(({ value }) => value.news);
    const settings = this.#options.live.current.groups.find(({ name }) => name === group);
    const id = dispatcherWorkflowId(group);
    if (settings === undefined || !letters.some(({ value }) => value.mayStart)) {
      return this.#signal('dispatcher', id, DISPATCHER_NEWS, news, letters);
    }
    return this.#measured('dispatcher', letters.length, async () => {
      await this.#startWithNews(settings, news);
      return 'told' as const;
    });
  }

  #sendToRunner(id: string, letters: Letter<RunnerNews>[]): Promise<Told> {
    const news = letters.map(({ value }) => value);
    return this.#signal('runner', id, RUNNER_NEWS, news, letters);
  }

  async #startWithNews(group: GroupConfig, news: DispatcherNews[]): Promise<void> {
    const { client, live, gate } = this.#options;
    await gate.call(() =>
      client.workflow.signalWithStart(WORKFLOW.dispatcher, dispatcherStart(live.current, group, news)),
    );
  }

  /** A signal with a request id made of its letters' ids: the server takes a repeated one once. */
  async #signal(
    actor: 'dispatcher' | 'runner',
    workflowId: string,
    signalName: string,
    news: readonly unknown[],
    letters: readonly Letter<unknown>[],
  ): Promise<Told> {
    const { client, gate } = this.#options;
    const payloads = toPayloads(defaultPayloadConverter, news) ?? [];
    return this.#measured(actor, letters.length, async () => {
      try {
        await gate.call(() =>
          client.workflowService.signalWorkflowExecution({
            namespace: client.options.namespace,
            identity: client.options.identity,
            workflowExecution: { workflowId },
            signalName,
            input: { payloads },
            requestId: requestId(letters),
          }),
        );
        return 'told';
      } catch (error) {
        const trouble = temporalTrouble(error);
        if (trouble === 'closed' || trouble === 'missing') return trouble;
        throw error;
      }
    });
  }

  async #measured<T>(actor: string, letters: number, work: () => Promise<T>): Promise<T> {
    const { batchSize, callSeconds } = this.#options;
    batchSize.observe({ actor }, letters);
    const stopClock = callSeconds.startTimer({ actor });
    try {
      return await work();
    } finally {
      stopClock();
    }
  }
}

function isRefused(error: unknown): boolean {
  return temporalTrouble(error) === 'refused';
}

function requestId(letters: readonly Letter<unknown>[]): string {
  const hash = createHash('sha256');
  for (const { id } of letters) hash.update(id).update('\n');
  return hash.digest('hex').slice(0, 32);
}
