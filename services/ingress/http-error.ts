import { BatonError, ERRORS, getErrorMessage, type ErrorCode } from '../../contracts/errors.ts';

const STATUS: Partial<Record<ErrorCode, number>> = {
  WEBHOOK_INVALID: 400,
  WEBHOOK_SIGNATURE: 401,
  WEBHOOK_TOO_LARGE: 413,
  WEBHOOK_MEDIA_TYPE: 415,
  AGENT_UNKNOWN: 404,
  DELEGATION_INVALID: 400,
  DELEGATION_TOKEN: 401,
  DELEGATION_FORBIDDEN: 403,
  DELEGATION_SCOPE: 403,
  DELEGATION_UNKNOWN: 404,
  DELEGATION_TOO_LARGE: 413,
  DELEGATION_TOO_MANY: 429,
  TOO_MANY_REQUESTS: 429,
  ROUTE_UNKNOWN: 404,
  LOGIN_REQUIRED: 401,
  OVERLOADED: 503,
  BUS_UNAVAILABLE: 503,
};

/** Our codes for errors of Fastify itself. Its other 4xx errors become WEBHOOK_INVALID. */
const FASTIFY_ERRORS: Record<string, ErrorCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'WEBHOOK_MEDIA_TYPE',
  FST_ERR_CTP_BODY_TOO_LARGE: 'WEBHOOK_TOO_LARGE',
};

/** An error as an HTTP answer. */
export interface HttpError {
  status: number;
  headers: Record<string, string>;
  body: { code: ErrorCode; message: string; help: string; details?: Readonly<Record<string, unknown>> };
  /** Whether the error is a fault in Baton: then the log needs the whole error. */
  unexpected: boolean;
}

/**
 * Converts any error to `{code, message, help, details?}`. The text of an error that is not a BatonError stays in the
 * log.
 */
export function toHttpError(error: unknown): HttpError {
  const known = error instanceof BatonError ? error : fromFastify(error);
  if (known === undefined) {
    const body = { code: 'INTERNAL', message: 'the request failed', help: ERRORS.INTERNAL.help } as const;
    return { status: 500, headers: {}, body, unexpected: true };
  }
  const { code, message, help, details } = known;
  const retryAfter = details['retryAfterS'];
  return {
    status: STATUS[code] ?? 500,
    headers: typeof retryAfter === 'number' ? { 'retry-after': String(retryAfter) } : {},
    body: { code, message, help, ...(Object.keys(details).length > 0 ? { details } : {}) },
    unexpected: STATUS[code] === undefined,
  };
}

function fromFastify(error: unknown): BatonError | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = 'code' in error && typeof error.code === 'string' ? FASTIFY_ERRORS[error.code] : undefined;
  if (code !== undefined) return new BatonError(code, `reading a webhook: ${getErrorMessage(error)}`);
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (typeof status !== 'number' || status < 400 || status > 499) return undefined;
  return new BatonError('WEBHOOK_INVALID', `reading a webhook: ${getErrorMessage(error)}`);
}
