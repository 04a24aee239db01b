import type { FastifyRequest } from 'fastify';
import { findProxiesConfig, type DelegationConfig } from '../../../contracts/config/delegation.ts';
import { verifyToken } from '../../../contracts/lib/proxy-token.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { ProxyRateLimit } from './proxy-rate-limit.ts';

/** Returns the name of the proxy that sent the request. */
export type IdentifyCaller = (request: FastifyRequest) => string;

/**
 * Identifies proxies by their bearer token alone. The token must be signed and not expired, the proxy configured and
 * within its rate limit.
 *
 * @throws (the returned function) BatonError DELEGATION_TOKEN, DELEGATION_FORBIDDEN, DELEGATION_TOO_MANY
 */
export function createCallerCheck(delegation: DelegationConfig, rateLimit: ProxyRateLimit): IdentifyCaller {
  return (request) => {
    const [, token] = /^Bearer ([\w.-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const claims = token === undefined ? undefined : verifyToken(token, delegation.token_keys, new Date());
    if (claims === undefined) {
      throw new BatonError(
        'DELEGATION_TOKEN',
        'identifying a proxy: the bearer token is missing, expired or not signed by a configured key',
      );
    }
    if (findProxiesConfig({ delegation }, claims.proxy) === undefined) {
      throw new BatonError(
        'DELEGATION_FORBIDDEN',
        `identifying a proxy: ${claims.proxy} is not configured to delegate`,
      );
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
