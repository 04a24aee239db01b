import type { Workflow, WorkflowSignalWithStartOptions, WithWorkflowArgs } from '@temporalio/client';
import { DISPATCHER_EVENTS, type DispatcherEvent, dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import {
  PROXIES_EVENTS,
  PROXIES_WORKFLOW,
  type ProxiesEvent,
  type ProxiesSettings,
  proxiesWorkflowId,
} from '../../contracts/workflows/delegation.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { isMissing } from '../lib/missing.ts';

/**
 * Signals a group's dispatcher; resolves when Temporal has the signal. @returns false where the group has no dispatcher: it was
 * removed
 */
export type SignalDispatcher = (group: string, events: DispatcherEvent[]) => Promise<boolean>;

/** All that a local activity can do: signals, each of them one call to Temporal's server that waits for no workflow. */
export interface Signaller {
  signalDispatcher: SignalDispatcher;
  /** Signals the group's proxies workflow, starting it where it does not run. */
  signalProxies(proxies: ProxiesSettings, events: ProxiesEvent[]): Promise<void>;
}

/** All that a signaller needs of Temporal's client. A client that can do no more shows that it does no more. */
export interface SignalClient {
  workflow: {
    getHandle(workflowId: string): { signal(name: string, ...args: unknown[]): Promise<void> };
    signalWithStart(
      type: string,
      options: WithWorkflowArgs<Workflow, WorkflowSignalWithStartOptions<[ProxiesEvent[], ProxiesSettings]>>,
    ): Promise<unknown>;
  };
}

/** Sends one signal per call. */
export function createSignaller(client: SignalClient): Signaller {
  return {
    async signalDispatcher(group, events) {
      try {
        await client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_EVENTS, events);
        return true;
      } catch (error) {
        if (isMissing(error)) return false;
        throw error;
      }
    },

    async signalProxies(proxies, events) {
      const signalArgs: [ProxiesEvent[], ProxiesSettings] = [events, proxies];
      await client.workflow.signalWithStart(PROXIES_WORKFLOW, {
        workflowId: proxiesWorkflowId(proxies.group),
        taskQueue: TASK_QUEUE.orchestrator,
        args: [{ settings: proxies }],
        signal: PROXIES_EVENTS,
        signalArgs,
        staticSummary: `proxies of ${proxies.group}`,
        typedSearchAttributes: [{ key: SEARCH_ATTRIBUTES.group, value: proxies.group }],
      });
    },
  };
}
