/** An error answer in the shape of Google's APIs. */
export class GceApiError extends Error {
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

export const gceNotFound = (resource: string): GceApiError =>
  new GceApiError(404, 'notFound', `The resource '${resource}' was not found`);

export const gceInvalid = (message: string): GceApiError => new GceApiError(400, 'invalid', message);

/** The resource has changed since it was read. */
export const conditionNotMet = (): GceApiError =>
  new GceApiError(412, 'conditionNotMet', 'Labels fingerprint either invalid or resource labels have changed');

/** Compute Engine answers too many requests with 403, not 429. */
export const throttled = (): GceApiError =>
  new GceApiError(
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

export const internalError = (): GceApiError =>
  new GceApiError(500, 'backendError', 'Internal error. Please try again.');

/** The token is not valid. */
export const unauthenticated = (): GceApiError =>
  new GceApiError(
    401,
    'authError',
    'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.',
    { status: 'UNAUTHENTICATED' },
  );

export const forbidden = (permission: string, resource: string): GceApiError =>
  new GceApiError(403, 'forbidden', `Required '${permission}' permission for '${resource}'`);
