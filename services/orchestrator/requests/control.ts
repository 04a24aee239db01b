import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import {
  DISPATCHER_EVENTS,
  DISPATCHER_WORKFLOW,
  type DispatcherEvent,
  dispatcherWorkflowId,
} from '../../../contracts/workflows/dispatcher.ts';
import { decode } from '../../../contracts/lib/nats.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { controlRequest, type ControlReply } from '../../../contracts/messages/control.ts';
import { dispatcherStart } from '../../shared/dispatcher-start.ts';
import type { LiveConfig } from '../../shared/live-config.ts';

/** Takes the wish to pause, resume or drain a group to its dispatcher, which keeps it. */
export function controlDoor(client: Client, live: LiveConfig, log: Logger) {
  return async (data: Uint8Array): Promise<ControlReply> => {
    const request = controlRequest.safeParse(decode(data));
    if (!request.success)
      throw new BatonError('MESSAGE_INVALID', 'reading a request on control: not of its documented shape');
    const { group: name, mode } = request.data;
    const config = live.current;
    const news: DispatcherEvent[] = [{ type: 'control', mode }];
    const group = config.groups.find((candidate) => candidate.name === name);
    if (group !== undefined) {
      await client.workflow.signalWithStart(DISPATCHER_WORKFLOW, dispatcherStart(config, group, news));
    } else {
      await tellRemoved(
        client,
        name,
        news,
        config.groups.map((known) => known.name),
      );
    }
    log.info({ group: name, mode }, 'a person told a group');
    return { ok: true };
  };
}

/** A group that is no longer configured may still drain. */
async function tellRemoved(client: Client, group: string, news: DispatcherEvent[], known: string[]): Promise<void> {
  try {
    await client.workflow.getHandle(dispatcherWorkflowId(group)).signal(DISPATCHER_EVENTS, news);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    throw new BatonError('GROUP_UNKNOWN', `telling group "${group}": there is ${known.join(', ')}`, { cause: error });
  }
}
