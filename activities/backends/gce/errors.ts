import { z } from 'zod';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';

/** The library's gRPC status codes: https://grpc.io/docs/guides/status-codes */
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

/** How the API names a missing instance: `The resource 'projects/p/zones/z/instances/i' was not found`. */
const RESOURCE = /['"]projects\/[^'"]+\/zones\/[^'"]+\/instances\/([^'"/]+)['"]/;

/** The API answers too many requests with 403, like a missing permission. */
const THROTTLED = /rate ?limit|quota exceeded for quota metric/i;

/**
 * Whether the API answered that there is no such instance. The 404 of a proxy says nothing of it, nor does the API's own for a
 * missing project.
 */
export function isNotFound(error: unknown, instance: string): boolean {
  const parsed = googleError.safeParse(error).data;
  return parsed?.code === CODE.notFound && RESOURCE.exec(parsed.message)?.[1] === instance;
}

/** Whether the API answered that a resource of this name exists, or that it is being changed. */
export function isTaken(error: BatonError): boolean {
  return error.details['status'] === 409 || /resource .* is not ready/i.test(error.message);
}

/** Whether the change was refused because the resource has changed since it was read. */
export function isOutdated(error: unknown): boolean {
  return error instanceof BatonError && error.details['status'] === 412;
}

/** Whether a request was refused at once for lack of capacity; more often, its operation fails with that. */
export function isOutOfCapacity(error: BatonError): boolean {
  return /ZONE_RESOURCE_POOL_EXHAUSTED|does not have enough resources available/i.test(error.message);
}

/**
 * Converts an error of the library to a BatonError: BACKEND_UNAVAILABLE where there was no answer, the API throttles or
 * had an internal error; BACKEND_DENIED for credentials and permissions. The library's error does not become the cause: it
 * contains the request, with the token and the instance's user data.
 *
 * @param doing what was being done: `creating x`
 * @param refused how to treat any other refusal: INSTANCE_INVALID where an instance was to be created or labelled (`invalid`),
 *   BACKEND_REFUSED where one was to be found or removed (`retry`)
 */
export function toBackendError(doing: string, error: unknown, refused: 'invalid' | 'retry'): BatonError {
  if (error instanceof BatonError) return error;
  const parsed = googleError.safeParse(error).data;
  const message = `${doing}: ${getErrorMessage(error).trim().slice(0, 1000)}`;
  const options = { details: { status: parsed?.httpStatusCode, reason: parsed?.reason } };
  if (parsed?.code === CODE.denied || parsed?.code === CODE.unauthenticated) {
    const throttled = /RATE_LIMIT|QUOTA_EXCEEDED/.test(parsed.reason ?? '') || THROTTLED.test(parsed.message);
    return new BatonError(throttled ? 'BACKEND_UNAVAILABLE' : 'BACKEND_DENIED', message, options);
  }
  // No status means no answer: a lost connection, or a credential that could not be loaded.
  const status = parsed?.httpStatusCode ?? 0;
  if (typeof parsed?.code !== 'number' || UNAVAILABLE.has(parsed.code) || status >= 500 || status === 408) {
    const noCredential = /default credentials|invalid_grant|refresh (access )?token/i.test(message);
    return new BatonError(noCredential ? 'BACKEND_DENIED' : 'BACKEND_UNAVAILABLE', message, options);
  }
  return new BatonError(refused === 'invalid' ? 'INSTANCE_INVALID' : 'BACKEND_REFUSED', message, options);
}

/** One error of an operation that was accepted and then failed. */
export interface OperationError {
  code: string;
  message: string;
}

/** The kind of an operation's failure, which decides what to do next. */
export function classifyFailure(
  errors: readonly OperationError[],
): 'no-capacity' | 'exists' | 'unavailable' | 'invalid' {
  const codes = errors.map(({ code }) => code);
  const has = (pattern: RegExp): boolean => codes.some((code) => pattern.test(code));
  // A quota belongs to a region: another configured zone may be in another region.
  if (has(/^(ZONE_)?RESOURCE_POOL_EXHAUSTED|^STOCKOUT|QUOTA_EXCEEDED$|^RESOURCE_EXHAUSTED/)) return 'no-capacity';
  if (has(/ALREADY_EXISTS$/)) return 'exists';
  if (has(/INTERNAL|UNAVAILABLE|TIMEOUT|NOT_READY|IN_USE_BY_ANOTHER|RATE_LIMIT|RATE_EXCEEDED|CANCELL?ED/))
    return 'unavailable';
  return 'invalid';
}

/**
 * The error of a removal that was accepted and then failed; undefined where the instance has gone, or is being changed: then the
 * caller looks again.
 */
export function toRemovalError(doing: string, errors: readonly OperationError[]): BatonError | undefined {
  const [code = ''] = errors.map((error) => error.code).filter((one) => !/NOT_FOUND|NOT_READY/.test(one));
  if (code === '') return undefined;
  const passing = ['unavailable', 'no-capacity', 'exists'].includes(classifyFailure(errors));
  const lasting = /PERMISSION|FORBIDDEN|UNAUTHORIZED|ACCESS_DENIED/.test(code) ? 'BACKEND_DENIED' : 'BACKEND_REFUSED';
  return new BatonError(passing ? 'BACKEND_UNAVAILABLE' : lasting, `${doing}: ${formatErrors(errors)}`);
}

/** An operation's errors as text; empty when there are none. */
export function formatErrors(errors: readonly OperationError[]): string {
  return errors
    .map(({ code, message }) => `${code}: ${message}`)
    .join('; ')
    .slice(0, 1000);
}
