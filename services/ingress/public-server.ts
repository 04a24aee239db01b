import { fastify, type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { IngressConfig } from '../../contracts/config/ingress.ts';
import { BodyQuota, type BodyLimits } from './body-quota.ts';
import { limitConnections, type ConnectionLimits } from './connection-limit.ts';
import { registerPublicMetrics } from './metrics.ts';

/** The forge gives up after 10 s, and a proxy's hook after less. */
const REQUEST_TIMEOUT_MS = 20_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** How often Node looks for requests that take longer. */
const TIMEOUT_CHECK_INTERVAL_MS = 2000;
/** Longer than load balancers keep an idle connection: none may use one that is just being closed. */
const KEEP_ALIVE_TIMEOUT_MS = 72_000;

const CONNECTION_LIMITS: ConnectionLimits = { perCaller: 1024, total: 4096 };
/** One caller can send one webhook of GitHub's largest size at a time, beside any number of small ones. */
const BODY_LIMITS: BodyLimits = { perCaller: 30 * 1024 ** 2, total: 256 * 1024 ** 2 };

/** What the routes of the public server share. */
export interface PublicServer {
  http: FastifyInstance;
  /** Of bodies whose sender is not known yet. */
  quota: BodyQuota;
}

/**
 * Creates the HTTP server for the forge, machines and proxies. Of Baton itself it shows only `/healthz`, for load balancers. No caller
 * can keep it busy for the others: see its limits.
 */
export function createPublicServer({ trusted_proxies: trusted }: IngressConfig, metrics: Registry): PublicServer {
  const quota = new BodyQuota(BODY_LIMITS);
  const { connections } = registerPublicMetrics(metrics, quota);
  const http = fastify({
    forceCloseConnections: 'idle',
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    // `request.ip` is then the last address of X-Forwarded-For that is none of these.
    trustProxy: trusted.length > 0 ? [...trusted] : false,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
    },
  });
  limitConnections(http.server, {
    limits: CONNECTION_LIMITS,
    trusted,
    onRefused: () => connections.inc({ reason: 'limit' }),
  });
  http.server.on('clientError', (error: Error & { code?: string }) => {
    connections.inc({ reason: error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'timeout' : 'error' });
  });
  http.get('/healthz', () => ({ status: 'ok' }));
  return { http, quota };
}
