import { fastify, type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { IngressConfig } from '../../contracts/config/ingress.ts';
import { BodyQuota, type BodyLimits } from './body-quota.ts';
import { limitConnections, type ConnectionLimits } from './connection-limit.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { toHttpError } from './http-error.ts';
import { registerPublicMetrics } from './metrics.ts';
import { RefusalLog, type RefusalLogOptions } from './refusal-log.ts';
import { TokenBuckets } from './token-buckets.ts';
import { BatonError } from '../../contracts/errors.ts';
import { toCallerAddress } from './caller-address.ts';

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

/**
 * Requests of one address, but webhooks: all machines behind one gateway fetch the agent when they boot, and all proxies there hand
 * jobs over.
 */
const REQUEST_LIMITS = { perSecond: 100, burst: 2000 };

/** What the routes of the public server share. */
export interface PublicServer {
  http: FastifyInstance;
  /** Of bodies whose sender is not known yet. */
  quota: BodyQuota;
  refusals: RefusalLog;
}

export interface PublicServerOptions {
  config: IngressConfig;
  metrics: Registry;
  log: Logger;
  publishRefusal: RefusalLogOptions['publish'];
}

/**
 * Creates the HTTP server for the forge, machines and proxies. Of Baton itself it shows only `/healthz`, for load balancers. No caller
 * can keep it busy for the others: see its limits.
 */
export function createPublicServer({ config, metrics, log, publishRefusal }: PublicServerOptions): PublicServer {
  const { trusted_proxies: trusted } = config;
  const quota = new BodyQuota(BODY_LIMITS);
  const { connections, refused } = registerPublicMetrics(metrics, quota);
  const refusals = new RefusalLog({ publish: publishRefusal, refused, log });
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
  // Otherwise a request without a route could have a body of 1 MiB read.
  http.removeAllContentTypeParsers();
  limitRequests(http);
  http.setErrorHandler((error, request, reply) => {
    const answer = toHttpError(error);
    refusals.record(request, answer);
    if (answer.unexpected) log.error({ err: error, code: answer.body.code }, answer.body.message);
    return reply.code(answer.status).headers(answer.headers).send(answer.body);
  });
  http.setNotFoundHandler((request) => {
    throw new BatonError(
      'ROUTE_UNKNOWN',
      `serving ${request.method} ${request.url.slice(0, 100)}: there is no such path`,
    );
  });
  http.get('/healthz', () => ({ status: 'ok' }));
  return { http, quota, refusals };
}

/** Limits all requests but webhooks, which the forge's address may share with a flood: these cost little until they are verified. */
function limitRequests(http: FastifyInstance): void {
  const buckets = new TokenBuckets(REQUEST_LIMITS);
  http.addHook('onRequest', async (request) => {
    if (request.routeOptions.url?.startsWith('/webhooks/')) return;
    const caller = toCallerAddress(request.ip);
    const retryAfterS = buckets.take(caller);
    if (retryAfterS === 0) return;
    const message = `serving ${caller}: more than ${REQUEST_LIMITS.perSecond} requests a second`;
    throw new BatonError('TOO_MANY_REQUESTS', message, { details: { retryAfterS } });
  });
}
