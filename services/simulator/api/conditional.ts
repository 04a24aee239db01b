import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * The ETag of an answer, as GitHub computes it: over the request's headers `Accept`, `Authorization` and `Cookie`, where present,
 * and the body. So it is another one for each token, also for the next one of the same installation. (Not documented; seen by
 * https://github.com/bored-engineer/github-conditional-http-transport and in https://github.com/github/docs/issues/34689.)
 */
function computeEtag(request: FastifyRequest, body: string): string {
  const { accept, authorization, cookie } = request.headers;
  const parts = [accept, authorization, cookie].filter((part) => part !== undefined);
  return `W/"${createHash('sha256')
    .update([...parts, body].join(':'))
    .digest('hex')}"`;
}

const toOpaque = (tag: string): string => tag.trim().replace(/^W\//, '');

/** Sets the validators of an answer. @returns whether the caller has this answer already, so that 304 is enough */
export function isUnchanged(request: FastifyRequest, reply: FastifyReply, body: string): boolean {
  const etag = computeEtag(request, body);
  reply.headers({
    etag,
    'cache-control': 'private, max-age=60, s-maxage=60',
    vary: 'Accept, Authorization, Cookie, X-GitHub-OTP',
  });
  const known = request.headers['if-none-match'];
  if (known !== undefined) {
    return known.split(',').some((tag) => tag.trim() === '*' || toOpaque(tag) === toOpaque(etag));
  }
  const since = Date.parse(request.headers['if-modified-since'] ?? '');
  const modified = Date.parse(String(reply.getHeader('last-modified') ?? ''));
  return modified <= since;
}
