import type { FastifyRequest } from 'fastify';
import { findProxiesConfig, type DelegationConfig } from '../../../contracts/config/delegation.ts';
import { verifyToken, type TokenScope } from '../../../contracts/lib/proxy-token.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { ProxyRateLimit } from './proxy-rate-limit.ts';

/** Returns the name of the proxy that sent the request, with a token for what the request does. */
export type IdentifyCaller = (request: FastifyRequest, scope: TokenScope) => string;

/**
 * Identifies proxies by their bearer token alone. The token must be signed and not expired, the proxy configured and
 * within its rate limit, and the token be for what the request does.
 *
 * @throws (the returned function) BatonError DELEGATION_TOKEN, DELEGATION_FORBIDDEN, DELEGATION_SCOPE, DELEGATION_TOO_MANY
 */
export function createCallerCheck(delegation: DelegationConfig, rateLimit: ProxyRateLimit): IdentifyCaller {
  return (request, scope) => {
    const [, token] = /^Bearer ([\w.-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const claims = token === undefined ? undefined : verifyToken(token, delegation.token_keys, new Date());
    if (claims === undefined) {
      throw new BatonError(
        'DELEGATION_TOKEN',
        'identifying a proxy: the bearer token is missing, expired, valid for too long or not signed by a configured key',
      );
    }
    if (findProxiesConfig({ delegation }, claims.proxy) === undefined) {
      throw new BatonError(
        'DELEGATION_FORBIDDEN',
        `identifying a proxy: ${claims.proxy} is not configured to delegate`,
      );
    }
    if (!claims.scopes.includes(scope)) {
      const what = scope === 'read' ? 'hand jobs over and read nothing' : 'read and hand no job over';
      throw new BatonError('DELEGATION_SCOPE', `identifying a proxy: the token of ${claims.proxy} may ${what}`);
    }
    rateLimit.take(claims.proxy);
    return claims.proxy;
  };
}

/** @throws BatonError DELEGATION_FORBIDDEN when a proxy acts for another one */
export function assertSameProxy(proxy: string, runnerName: string, doing: string): void {
  if (proxy === runnerName) return;
  throw new BatonError('DELEGATION_FORBIDDEN', `${doing}: the token is for ${proxy}, not for ${runnerName}`);
}
