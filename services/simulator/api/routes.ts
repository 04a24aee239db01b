import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Simulation } from '../simulation.ts';
import { addAppRoutes } from './app-routes.ts';
import { authenticate } from './auth.ts';
import { ApiError, notFound } from './errors.ts';
import { ApiFaults } from './faults.ts';
import { addGroupRoutes } from './group-routes.ts';
import { addHookRoutes } from './hook-routes.ts';
import { addJobRoutes } from './job-routes.ts';
import { addLabelRoutes } from './label-routes.ts';
import { RateLimiter } from './rate-limit.ts';
import { addRunnerRoutes } from './runner-routes.ts';

export const API_PREFIX = '/api/v3';

/** A short hash by which a log may name a token. */
export function fingerprintToken(token: string): string {
  return createHash('sha256').update(token).digest('hex').slice(0, 12);
}

export interface Api {
  /** Makes calls fail. */
  faults: ApiFaults;
  /** All endpoints, as `GET /orgs/:org/…`. */
  endpoints: string[];
}

/** Routes of GitHub's REST API under /api/v3, with authentication, limits, headers and errors for all of them. */
export async function addApiRoutes(root: FastifyInstance, sim: Simulation): Promise<Api> {
  const faults = new ApiFaults(sim.random);
  const endpoints: string[] = [];
  const limiter = new RateLimiter(sim);
  const lost = new WeakSet<FastifyRequest>();
  await root.register(
    async (http) => {
      http.decorateRequest('actor');
      http.addHook('onRoute', ({ method, url }) => {
        if (method !== 'HEAD') endpoints.push(`${[method].flat().join(',')} ${url.slice(API_PREFIX.length)}`);
      });

      http.addHook('onRequest', async (request, reply) => {
        reply.headers({
          'x-github-request-id': randomUUID().slice(0, 18).toUpperCase(),
          'x-github-media-type': 'github.v3; format=json',
          'x-github-api-version-selected': request.headers['x-github-api-version'] ?? '2022-11-28',
        });
        const fault = faults.take(request.method, request.url.slice(API_PREFIX.length));
        if (fault?.fault === 'status') throw new ApiError(fault.status, 'Server Error');
        if (fault?.fault === 'slow') await sleep(fault.delayMs);
        if (fault?.fault === 'lost') lost.add(request);
        request.actor = authenticate(sim, request.headers.authorization);
        const free = request.routeOptions.url === `${API_PREFIX}/rate_limit`;
        try {
          if (!free) limiter.count(request.actor, request.method);
        } finally {
          setLimitHeaders(reply, limiter.peek(request.actor));
        }
      });

      http.addHook('onSend', async (request, reply, payload) => {
        if (lost.has(request)) request.raw.socket.destroy();
        // GitHub sends this header even with an empty body.
        if (typeof payload === 'string' && payload !== '') reply.type('application/json; charset=utf-8');
        return payload;
      });

      http.addHook('onResponse', async (request, reply) => {
        const { actor } = request;
        sim.log.add('api.call', {
          method: request.method,
          path: request.url.slice(API_PREFIX.length).split('?')[0],
          status: lost.has(request) ? 0 : reply.statusCode,
          actor: actor?.kind ?? null,
          by: actor?.kind === 'token' ? fingerprintToken(actor.token) : null,
          ms: Math.round(reply.elapsedTime),
        });
      });

      http.setErrorHandler<FastifyError>((error, _request, reply) => sendError(reply, error));
      http.setNotFoundHandler((_request, reply) => sendError(reply, notFound()));

      addAppRoutes(http, sim, limiter);
      addRunnerRoutes(http, sim);
      addLabelRoutes(http, sim);
      addGroupRoutes(http, sim);
      addJobRoutes(http, sim);
      addHookRoutes(http, sim);
    },
    { prefix: API_PREFIX },
  );
  return { faults, endpoints };
}

function setLimitHeaders(
  reply: FastifyReply,
  state: { limit: number; remaining: number; used: number; reset: number },
): void {
  reply.headers({
    'x-ratelimit-limit': state.limit,
    'x-ratelimit-remaining': state.remaining,
    'x-ratelimit-used': state.used,
    'x-ratelimit-reset': state.reset,
    'x-ratelimit-resource': 'core',
  });
}

function sendError(reply: FastifyReply, error: Error & { statusCode?: number }): FastifyReply {
  const known =
    error instanceof ApiError
      ? error
      : error.statusCode === 400
        ? new ApiError(400, 'Problems parsing JSON')
        : new ApiError(error.statusCode ?? 500, error.message);
  return reply.code(known.status).headers(known.headers).send(known.body());
}
