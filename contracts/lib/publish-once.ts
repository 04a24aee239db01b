import type { MsgHdrs } from 'nats';
import { BatonError, getErrorMessage } from '../errors.ts';
import type { Bus } from './nats.ts';

export interface PublishOptions {
  /** The message's id (`Nats-Msg-Id`): the same for every attempt to publish the same message. */
  id: string;
  /** How long to wait for the stream's acknowledgement. */
  timeoutMs: number;
  headers?: MsgHdrs;
}

/**
 * Publishes a message to its JetStream stream. Resolves when the stream has stored it on disk.
 *
 * The acknowledgement may get lost: after an error, the message may be stored or not. Publish it again with the same id: for its
 * duplicate window (see STREAMS) the stream stores one message per id and answers the others with `duplicate: true`. After
 * `timeoutMs` without an acknowledgement this rejects; it never publishes again by itself.
 *
 * @returns `duplicate`: the stream already had a message with this id, and did not store this one
 * @throws BatonError BUS_UNAVAILABLE, with the NATS client's own error as `cause`: no acknowledgement within `timeoutMs`, no
 *   stream for the subject, no room in the stream, message too large, permission missing, or connection closed
 */
export async function publishOnce(
  bus: Bus,
  subject: string,
  body: Uint8Array,
  { id, timeoutMs, headers }: PublishOptions,
): Promise<{ duplicate: boolean }> {
  try {
    const options = { msgID: id, timeout: timeoutMs, ...(headers === undefined ? {} : { headers }) };
    const { duplicate } = await bus.jetstream().publish(subject, body, options);
    return { duplicate };
  } catch (error) {
    throw new BatonError('BUS_UNAVAILABLE', `publishing message ${id} to ${subject}: ${getErrorMessage(error)}`, {
      cause: error,
    });
  }
}
