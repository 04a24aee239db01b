import type { Client } from '@temporalio/client';
import { isMissing } from '../../../activities/lib/missing.ts';
import {
  DISPATCHER_EVENTS,
  DISPATCHER_WORKFLOW,
  type DispatcherEvent,
  dispatcherWorkflowId,
} from '../../../contracts/workflows/dispatcher.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { controlRequest, type ControlReply, type ControlRequest } from '../../../contracts/messages/control.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { createDispatcherStart } from '../../shared/dispatcher-start.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import type { RequestHandler } from '../../shared/request-server.ts';

export interface ControlOptions {
  client: Client;
  live: LiveConfig;
  log: Logger;
}

/** Pauses, resumes or drains a group: its dispatcher keeps the mode. */
export function createControlHandler({ client, live, log }: ControlOptions): RequestHandler<ControlRequest> {
  return {
    name: 'group mode request',
    subject: subjects.control,
    queueGroup: 'orchestrator',
    schema: controlRequest,
    handle: async ({ group: name, mode }): Promise<ControlReply> => {
      const config = live.current;
      const events: DispatcherEvent[] = [{ type: 'control', mode }];
      const group = config.groups.find((candidate) => candidate.name === name);
      if (group === undefined) {
        const known = config.groups.map((known) => known.name);
        await signalRemovedGroup(client, name, events, known);
      } else {
        await client.workflow.signalWithStart(DISPATCHER_WORKFLOW, createDispatcherStart(config, group, events));
      }
      log.info({ group: name, mode }, 'group mode changed');
      return { ok: true };
    },
  };
}

/**
 * A group that is no longer in the configuration may still drain.
 *
 * @throws BatonError GROUP_UNKNOWN
 */
async function signalRemovedGroup(
  client: Client,
  group: string,
  events: DispatcherEvent[],
  known: string[],
): Promise<void> {
  try {
    await client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_EVENTS, events);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new BatonError('GROUP_UNKNOWN', `changing the mode of group "${group}": the groups are ${known.join(', ')}`, {
      cause: error,
    });
  }
}
