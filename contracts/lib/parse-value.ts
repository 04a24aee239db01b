import type { z } from 'zod';
import { BatonError } from '../errors.ts';
import { describeWrongFields } from './schema-errors.ts';

/**
 * Parses a value from outside this process. The error may quote the value: do not use it for input that may hold a secret.
 *
 * @param reading what is being read, for the error: `a message on baton.v1.apply`
 * @throws BatonError MESSAGE_INVALID that names the wrong fields
 */
export function parseValue<T extends z.ZodType>(schema: T, value: unknown, reading: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new BatonError('MESSAGE_INVALID', `reading ${reading}: ${describeWrongFields(result.error)}`);
}
