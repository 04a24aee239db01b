import { z } from 'zod';
import { BatonError, messageOf } from '../../../contracts/errors.ts';

/** gRPC's codes, as the library gives them: https://grpc.io/docs/guides/status-codes */
export const CODE = {
  cancelled: 1,
  deadline: 4,
  notFound: 5,
  denied: 7,
  exhausted: 8,
  aborted: 10,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

const googleError = z.object({
  message: z.string(),
  code: z.union([z.number(), z.string()]).optional(),
  httpStatusCode: z.number().optional(),
  reason: z.string().optional(),
});

const UNAVAILABLE: ReadonlySet<unknown> = new Set([
  CODE.cancelled,
  CODE.deadline,
  CODE.exhausted,
  CODE.aborted,
  CODE.internal,
  CODE.unavailable,
]);

/** A rate that is too high is told as 403, like a missing permission. */
const THROTTLED = /rate ?limit|quota exceeded for quota metric/i;

/** Whether the API's answer was positively "there is no such thing". */
export function isNotFound(error: unknown): boolean {
  return googleError.safeParse(error).data?.code === CODE.notFound;
}

/** Whether the API's answer was that a resource of this name exists, or that it is just being changed. */
export function isTaken(error: BatonError): boolean {
  return error.details['status'] === 409 || /resource .* is not ready/i.test(error.message);
}

/** Whether what was to be changed has been changed by somebody else since it was looked at. */
export function isOutdated(error: unknown): boolean {
  return error instanceof BatonError && error.details['status'] === 412;
}

/** Whether a request was refused at once for want of capacity: usually its operation fails with that. */
export function isOutOfCapacity(error: BatonError): boolean {
  return /ZONE_RESOURCE_POOL_EXHAUSTED|does not have enough resources available/i.test(error.message);
}

/**
 * What the library threw, as one of ours: BACKEND_UNAVAILABLE where there was no answer, the API throttles or had a fault of
 * its own, BACKEND_DENIED for credentials and permissions, INSTANCE_INVALID for what it finds wrong with the request.
 * The library's error is not kept as its cause: it has the request in it, with the token and an instance's user data.
 *
 * @param doing what for, e.g. `creating x`
 */
export function toBackendError(doing: string, error: unknown): BatonError {
  if (error instanceof BatonError) return error;
  const parsed = googleError.safeParse(error).data;
  const message = `${doing}: ${messageOf(error).trim().slice(0, 1000)}`;
  const options = { details: { status: parsed?.httpStatusCode, reason: parsed?.reason } };
  if (parsed?.code === CODE.denied || parsed?.code === CODE.unauthenticated) {
    const throttled = parsed.reason === 'RATE_LIMIT_EXCEEDED' || THROTTLED.test(parsed.message);
    return new BatonError(throttled ? 'BACKEND_UNAVAILABLE' : 'BACKEND_DENIED', message, options);
  }
  // Without a status nobody answered: a connection that broke, a credential that could not be had.
  if (typeof parsed?.code !== 'number' || UNAVAILABLE.has(parsed.code)) {
    const noCredential = /default credentials|invalid_grant|refresh (access )?token/i.test(message);
    return new BatonError(noCredential ? 'BACKEND_DENIED' : 'BACKEND_UNAVAILABLE', message, options);
  }
  return new BatonError('INSTANCE_INVALID', message, options);
}

/** One error of an operation that failed after it had been accepted. */
export interface OperationError {
  code: string;
  message: string;
}

/** Why an operation failed, as far as it decides what to do now. */
export function classifyFailure(
  errors: readonly OperationError[],
): 'no-capacity' | 'exists' | 'unavailable' | 'invalid' {
  const codes = errors.map(({ code }) => code);
  const has = (pattern: RegExp): boolean => codes.some((code) => pattern.test(code));
  // A quota is a region's: another zone of the list may be in another.
  if (has(/^(ZONE_)?RESOURCE_POOL_EXHAUSTED|^STOCKOUT|QUOTA_EXCEEDED$|^RESOURCE_EXHAUSTED/)) return 'no-capacity';
  if (has(/ALREADY_EXISTS$/)) return 'exists';
  if (has(/INTERNAL|UNAVAILABLE|TIMEOUT|NOT_READY|IN_USE_BY_ANOTHER|RATE_LIMIT|CANCELLED/)) return 'unavailable';
  return 'invalid';
}

/** What an operation failed with, for a person; empty when it did not. */
export function formatErrors(errors: readonly OperationError[]): string {
  return errors
    .map(({ code, message }) => `${code}: ${message}`)
    .join('; ')
    .slice(0, 1000);
}
