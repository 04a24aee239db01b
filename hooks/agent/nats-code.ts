import { ErrorCode, NatsError } from 'nats';
import { BatonError } from '../../contracts/errors.ts';

/** The error codes of NATS that are handled differently. */
export const NATS_CODE: Record<'denied' | 'noResponders' | 'timeout', string> = {
  denied: ErrorCode.PermissionsViolation,
  noResponders: ErrorCode.NoResponders,
  timeout: ErrorCode.Timeout,
};

/** The NATS client's code of an error, or of the error that caused a BatonError. */
export function getNatsCode(error: unknown): string {
  const cause = error instanceof BatonError ? error.cause : error;
  return cause instanceof NatsError ? cause.code : 'UNKNOWN';
}
