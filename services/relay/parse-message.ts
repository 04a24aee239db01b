import type { z } from 'zod';
import { decode } from '../../contracts/lib/nats.ts';
import { PermanentFailure } from './acknowledgement.ts';
import type { StreamMessage } from './stream-message.ts';
import { describeWrongFields } from '../../contracts/lib/schema-errors.ts';

/**
 * A message's body in its documented shape.
 *
 * @throws Hopeless MESSAGE_INVALID naming what is wrong; BatonError MESSAGE_INVALID when it isn't JSON
 */
export function parseMessage<T extends z.ZodType>(schema: T, message: StreamMessage): z.output<T> {
  const result = schema.safeParse(decode(message.data));
  if (result.success) return result.data;
  const list = describeWrongFields(result.error);
  throw new PermanentFailure('MESSAGE_INVALID', `reading a message on ${message.subject}: ${list}`);
}
