import type { z } from 'zod';
import { decode } from '../../contracts/lib/nats.ts';
import { parseValue } from '../../contracts/lib/parse-value.ts';
import type { StreamMessage } from './stream-message.ts';

/**
 * Parses a message's body.
 *
 * @throws BatonError MESSAGE_INVALID, which is not retryable: the wrong fields by name, or that it is not JSON
 */
export function parseMessage<T extends z.ZodType>(schema: T, message: StreamMessage): z.output<T> {
  return parseValue(schema, decode(message.data), `a message on ${message.subject}`);
}
