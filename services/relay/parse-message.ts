import type { z } from 'zod';
import { decode } from '../../contracts/lib/nats.ts';
import { PermanentFailure } from './message-errors.ts';
import type { StreamMessage } from './stream-message.ts';
import { describeWrongFields } from '../../contracts/lib/schema-errors.ts';

/**
 * Parses a message's body.
 *
 * @throws PermanentFailure MESSAGE_INVALID that names the wrong fields; BatonError MESSAGE_INVALID when it is not JSON
 */
export function parseMessage<T extends z.ZodType>(schema: T, message: StreamMessage): z.output<T> {
  const result = schema.safeParse(decode(message.data));
  if (result.success) return result.data;
  const list = describeWrongFields(result.error);
  throw new PermanentFailure('MESSAGE_INVALID', `reading a message on ${message.subject}: ${list}`);
}
