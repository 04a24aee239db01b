/** An answer that is an error, as Google's APIs shape it. */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly more: Record<string, unknown>;

  constructor(status: number, reason: string, message: string, more: Record<string, unknown> = {}) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.more = more;
  }

  body(): string {
    const { status: code, reason, message, more } = this;
    const domain = reason === 'rateLimitExceeded' ? 'usageLimits' : 'global';
    return JSON.stringify({ error: { code, message, errors: [{ message, domain, reason }], ...more } });
  }
}

export const notFound = (resource: string): ApiError =>
  new ApiError(404, 'notFound', `The resource '${resource}' was not found`);

export const invalid = (message: string): ApiError => new ApiError(400, 'invalid', message);

/** What was to be changed is not any more as it was when it was looked at. */
export const conditionNotMet = (): ApiError =>
  new ApiError(412, 'conditionNotMet', 'Labels fingerprint either invalid or resource labels have changed');

/** What Compute Engine says of too many requests: a 403, not a 429. */
export const throttled = (): ApiError =>
  new ApiError(
    403,
    'rateLimitExceeded',
    "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com' for consumer 'project_number:1'.",
    {
      status: 'PERMISSION_DENIED',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
          reason: 'RATE_LIMIT_EXCEEDED',
          domain: 'googleapis.com',
          metadata: { service: 'compute.googleapis.com' },
        },
      ],
    },
  );

export const backendError = (): ApiError => new ApiError(500, 'backendError', 'Internal error. Please try again.');

/** A token that is no longer, or never was, any good. */
export const unauthenticated = (): ApiError =>
  new ApiError(
    401,
    'authError',
    'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
    { status: 'UNAUTHENTICATED' },
  );

export const forbidden = (permission: string, resource: string): ApiError =>
  new ApiError(403, 'forbidden', `Required '${permission}' permission for '${resource}'`);
