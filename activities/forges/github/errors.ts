import { RequestError } from '@octokit/request-error';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { findReachedLimit } from './scheduler/limits.ts';

/** A limit whose answer doesn't say how long it holds. */
const UNNAMED_LIMIT_MS = 60_000;

/**
 * Converts an error of a call to GitHub to a BatonError with the method, URL, status and GitHub's request id. Only a
 * status that GitHub itself sent is a refusal; everything else counts as "no answer". A reached limit says in its details when
 * to ask again: `retryAfterMs`; `sent: false` there: the call never left this process.
 *
 * @param doing what was being done: `registering runner r1 in acme`
 */
export function toGithubError(doing: string, error: unknown): BatonError {
  if (error instanceof BatonError) return error;
  // Octokit wraps what our own `fetch` throws: a call that wasn't sent, or got no answer.
  const own = error instanceof RequestError ? error.cause : undefined;
  if (own instanceof BatonError) {
    return new BatonError(own.code, `${doing}: ${own.message}`, { cause: error, details: own.details });
  }
  if (!(error instanceof RequestError) || error.response === undefined) {
    return new BatonError('FORGE_UNAVAILABLE', `${doing}: ${getErrorMessage(error)}`, { cause: error });
  }
  const { status, request, response } = error;
  const requestId = response?.headers['x-github-request-id'];
  const details = { status, method: request.method, url: request.url, requestId };
  const text = `${doing}: ${request.method} ${request.url} answered ${status} (${error.message})`;
  const now = Date.now();
  const limit = findReachedLimit(
    { status, header: (name) => toText(response?.headers[name]), body: error.message },
    now,
  );
  if (limit !== undefined) {
    const retryAfterMs = Math.max(1000, (limit.until ?? now + UNNAMED_LIMIT_MS) - now);
    return new BatonError('FORGE_RATE_LIMITED', text, { cause: error, details: { ...details, retryAfterMs } });
  }
  // 401 too: GitHub sometimes refuses a key or installation token for a moment after it was created or rotated.
  const temporary = status >= 500 || status === 401 || status === 408;
  return new BatonError(temporary ? 'FORGE_UNAVAILABLE' : 'FORGE_REFUSED', text, { cause: error, details });
}

/** The status of GitHub's answer; undefined where there was no answer. */
export function getGithubStatus(error: unknown): number | undefined {
  return error instanceof RequestError ? error.status : undefined;
}

/** The method of the request that GitHub answered with an error. */
export function getRequestMethod(error: unknown): string | undefined {
  return error instanceof RequestError ? error.request.method : undefined;
}

function toText(value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

/** Whether GitHub itself refused, for good: not a limit, not an outage. */
export function isRefusal(error: unknown): boolean {
  return toGithubError('', error).code === 'FORGE_REFUSED';
}
