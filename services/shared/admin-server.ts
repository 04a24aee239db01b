import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import { ERRORS, type ErrorCode } from '../../contracts/errors.ts';

const PROBES = new Set(['/healthz', '/readyz']);

export interface AdminServerOptions {
  isReady: () => Promise<boolean>;
  /** What `/readyz` says of the configuration; null: nothing. */
  getNotice: () => string | null;
  /** What `/readyz` says of the NATS credential; null: nothing. */
  getCredentialNotice: () => string | null;
  metrics: Registry;
  /** Addresses and networks of reverse proxies, whose `X-Forwarded-For` is used. */
  trustedProxies: readonly string[];
  /** The bearer token of `/metrics`; undefined: none is needed. */
  metricsToken: string | undefined;
  /** The names by which a browser may reach it, besides localhost; undefined: any. */
  hosts: readonly string[] | undefined;
}

/**
 * Creates the HTTP server for operators: `/healthz` (the process answers), `/readyz` (200, or 503 while the service cannot work) and
 * `/metrics`.
 */
export function createAdminServer(options: AdminServerOptions): FastifyInstance {
  const { isReady, getNotice, getCredentialNotice, metrics, trustedProxies, metricsToken, hosts } = options;
  const http = fastify({
    forceCloseConnections: 'idle',
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
  });
  if (hosts !== undefined) {
    http.addHook('onRequest', async (request, reply) => {
      if (PROBES.has(request.routeOptions.url ?? '') || isKnownHost(request.headers.host, hosts)) return undefined;
      return refuse(reply.code(421), 'HOST_UNKNOWN', 'serving a page: the request is for another host');
    });
  }
  http.get('/healthz', () => ({ status: 'ok' }));
  http.get('/readyz', async (_request, reply) => {
    const ready = await isReady();
    const notice = getNotice();
    const credential = getCredentialNotice();
    return reply.code(ready ? 200 : 503).send({
      status: ready ? 'ready' : 'not ready',
      ...(notice === null ? {} : { configuration: notice }),
      ...(credential === null ? {} : { credential }),
    });
  });
  http.get('/metrics', async (request, reply) => {
    if (metricsToken !== undefined && !hasToken(request, metricsToken)) {
      const message = 'serving /metrics: the bearer token is missing or wrong';
      return refuse(reply.code(401).header('www-authenticate', 'Bearer'), 'LOGIN_REQUIRED', message);
    }
    return reply.type(metrics.contentType).send(await metrics.metrics());
  });
  return http;
}

/**
 * An address, localhost or a configured name. A page of somebody else's can let its own name point to this machine, and would be
 * allowed to read what the browser gets there: but it can't choose that the browser sends another name.
 */
function isKnownHost(name: string | undefined, hosts: readonly string[]): boolean {
  const host = (name ?? '')
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
  return isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost') || hosts.includes(host);
}

function hasToken(request: FastifyRequest, wanted: string): boolean {
  const [, given] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
  // Equal lengths, for a comparison in constant time.
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(wanted));
}

function refuse(reply: FastifyReply, code: ErrorCode, message: string): FastifyReply {
  return reply.send({ code, message, help: ERRORS[code].help });
}
