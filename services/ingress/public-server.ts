import { fastify, type FastifyInstance } from 'fastify';

/** Creates the HTTP server for the forge, machines and proxies. Of Baton itself it shows only `/healthz`, for load balancers. */
export function createPublicServer(): FastifyInstance {
  const http = fastify({ forceCloseConnections: 'idle' });
  http.get('/healthz', () => ({ status: 'ok' }));
  return http;
}
