import type { FastifyRequest } from 'fastify';
import { findProxiesConfig, type DelegationConfig } from '../../../contracts/config/delegation.ts';
import { verifyToken } from '../../../contracts/lib/proxy-token.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { ProxyRateLimit } from './proxy-rate-limit.ts';

/** Tells which proxy a request is from. */
export type IdentifyCaller = (request: FastifyRequest) => string;

/**
 * By its bearer token alone: signed, not expired, of a proxy that is configured, and not asking too often.
 *
 * @throws (the function) BatonError DELEGATION_TOKEN, DELEGATION_FORBIDDEN, DELEGATION_TOO_MANY
 */
export function createCallerCheck(delegation: DelegationConfig, allowance: ProxyRateLimit): IdentifyCaller {
  return (request) => {
    const [, token] = /^Bearer ([\w.-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const claims = token === undefined ? undefined : verifyToken(token, delegation.token_keys, new Date());
    if (claims === undefined) {
      throw new BatonError('DELEGATION_TOKEN', 'identifying a proxy: no bearer token that is signed and not expired');
    }
    if (findProxiesConfig({ delegation }, claims.proxy) === undefined) {
      throw new BatonError(
        'DELEGATION_FORBIDDEN',
        `identifying a proxy: ${claims.proxy} is not configured to delegate`,
      );
    }
    allowance.take(claims.proxy);
    return claims.proxy;
  };
}

/** @throws BatonError DELEGATION_FORBIDDEN where a proxy acts for another */
export function assertSameProxy(proxy: string, runnerName: string, doing: string): void {
  if (proxy === runnerName) return;
  throw new BatonError('DELEGATION_FORBIDDEN', `${doing}: the token is for ${proxy}, not for ${runnerName}`);
}
