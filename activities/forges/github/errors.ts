import { RequestError } from '@octokit/request-error';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';

/**
 * Converts an error of a call to GitHub to a BatonError with the method, URL, status and GitHub's request id. Only a
 * status that GitHub itself sent is a refusal; everything else counts as "no answer".
 *
 * @param doing what was being done: `registering runner r1 in acme`
 */
export function toGithubError(doing: string, error: unknown): BatonError {
  if (error instanceof BatonError) return error;
  if (!(error instanceof RequestError)) {
    return new BatonError('FORGE_UNAVAILABLE', `${doing}: ${getErrorMessage(error)}`, { cause: error });
  }
  const { status, request, response } = error;
  const requestId = response?.headers['x-github-request-id'];
  const details = { status, method: request.method, url: request.url, requestId };
  const text = `${doing}: ${request.method} ${request.url} answered ${status} (${error.message})`;
  const limited =
    status === 429 ||
    (status === 403 &&
      (response?.headers['retry-after'] !== undefined || response?.headers['x-ratelimit-remaining'] === '0'));
  if (limited) return new BatonError('FORGE_RATE_LIMITED', text, { cause: error, details });
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
