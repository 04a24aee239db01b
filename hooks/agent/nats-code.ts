import { ErrorCode, NatsError } from 'nats';

/** The codes of NATS's errors that make a difference here. */
export const NATS_CODE: Record<'denied' | 'nobodyListens' | 'timeout', string> = {
  denied: ErrorCode.PermissionsViolation,
  nobodyListens: ErrorCode.NoResponders,
  timeout: ErrorCode.Timeout,
};

/** The code of anything that a call to NATS threw. */
export function natsCode(error: unknown): string {
  return error instanceof NatsError ? error.code : 'UNKNOWN';
}
