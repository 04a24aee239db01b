import { ErrorCode, NatsError } from 'nats';
import { BatonError } from '../../contracts/errors.ts';

/** The codes of NATS's errors that make a difference here. */
export const NATS_CODE: Record<'denied' | 'noResponders' | 'timeout', string> = {
  denied: ErrorCode.PermissionsViolation,
  noResponders: ErrorCode.NoResponders,
  timeout: ErrorCode.Timeout,
};

/** The NATS client's code of an error, or of the error that a BatonError was made from. */
export function natsCode(error: unknown): string {
  const cause = error instanceof BatonError ? error.cause : error;
  return cause instanceof NatsError ? cause.code : 'UNKNOWN';
}
