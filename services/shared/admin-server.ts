import { fastify, type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

export interface AdminServerOptions {
  isReady: () => Promise<boolean>;
  /** What `/readyz` says of the configuration; null: nothing. */
  getNotice: () => string | null;
  metrics: Registry;
  /** Addresses and networks of reverse proxies, whose `X-Forwarded-For` is used. */
  trustedProxies: readonly string[];
}

/**
 * Creates the HTTP server for operators: `/healthz` (the process answers), `/readyz` (200, or 503 while the service cannot work) and
 * `/metrics`.
 */
export function createAdminServer({
  isReady,
  getNotice,
  metrics,
  trustedProxies,
}: AdminServerOptions): FastifyInstance {
  const http = fastify({
    forceCloseConnections: 'idle',
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
  });
  http.get('/healthz', () => ({ status: 'ok' }));
  http.get('/readyz', async (_request, reply) => {
    const ready = await isReady();
    const notice = getNotice();
    return reply.code(ready ? 200 : 503).send({
      status: ready ? 'ready' : 'not ready',
      ...(notice === null ? {} : { configuration: notice }),
    });
  });
  http.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
  return http;
}
