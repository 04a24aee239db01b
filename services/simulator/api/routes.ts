import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LimitError, type LimitResource } from '../limits/limit-error.ts';
import type { PrimaryState } from '../limits/primary-limit.ts';
import { toCost } from '../limits/rate-limiter.ts';
import type { Simulation } from '../simulation.ts';
import { addAppRoutes } from './app-routes.ts';
import { authenticate, createForbiddenError, createSuspendedError } from './auth.ts';
import { trackCall } from './call.ts';
import { isUnchanged } from './conditional.ts';
import { ApiError, notFound } from './errors.ts';
import { ApiFaults, type ApiFault } from './faults.ts';
import { addGroupRoutes } from './group-routes.ts';
import { addHookRoutes } from './hook-routes.ts';
import { addJobRoutes } from './job-routes.ts';
import { addLabelRoutes } from './label-routes.ts';
import { addRunnerRoutes } from './runner-routes.ts';

export { fingerprintToken } from './auth.ts';

export const API_PREFIX = '/api/v3';

/** What GitHub's load balancer answers when nothing behind it does: a page, not JSON. */
class BadGateway extends Error {
  readonly page = '<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>';
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
  await root.register(
    async (http) => {
      http.decorateRequest('actor');
      http.decorateRequest('call');
      http.addHook('onRoute', ({ method, url }) => {
        if (method !== 'HEAD') endpoints.push(`${[method].flat().join(',')} ${url.slice(API_PREFIX.length)}`);
      });

      http.addHook('onRequest', async (request, reply) => {
        trackCall(sim, request, reply);
        const outage = faults.findOutage();
        if (outage === 'status') throw new BadGateway();
        if (outage === 'hang') {
          reply.hijack();
          await faults.untilOutageEnds();
          loseConnection(request);
        }
      });

      http.addHook('onRequest', async (request, reply) => {
        reply.headers({
          'x-github-request-id': randomUUID().slice(0, 18).toUpperCase(),
          'x-github-media-type': 'github.v3; format=json',
          'x-github-api-version-selected': request.headers['x-github-api-version'] ?? '2022-11-28',
        });
        request.actor = authenticate(sim, request.headers.authorization);
        if (request.routeOptions.url !== `${API_PREFIX}/rate_limit`) {
          const cost = toCost(request.method);
          const end = sim.limiter.begin(request.actor, cost);
          reply.raw.once('close', end);
          request.call.cost = cost;
        }
        if (sim.timing.apiMs > 0) await sleep(sim.timing.apiMs);
        const path = request.url.slice(API_PREFIX.length);
        const app = request.actor.kind === 'token' ? null : request.actor.app.id;
        const fault = faults.take({ method: request.method, path, app });
        if (fault) await applyFault(sim, request, fault);
      });

      http.addHook('onSend', async (request, reply, payload) => {
        if (request.call.lost) loseConnection(request);
        if (!request.actor) return payload;
        const isText = typeof payload === 'string' && payload !== '';
        // GitHub sends this header even with an empty body.
        if (isText) reply.type('application/json; charset=utf-8');
        const unchanged =
          isText && request.method === 'GET' && reply.statusCode === 200 && isUnchanged(request, reply, payload);
        if (unchanged) {
          reply.code(304).removeHeader('content-type').removeHeader('content-length');
          if (request.call.cost > 0) sim.limiter.refund(request.actor);
        }
        setLimitHeaders(reply, request.call.resource, sim.limiter.peek(request.actor, request.call.resource));
        return unchanged ? null : payload;
      });

      http.setErrorHandler<FastifyError>((error, request, reply) => {
        if (error instanceof LimitError)
          Object.assign(request.call, { limited: error.limit, resource: error.resource });
        if (error instanceof BadGateway) return reply.code(502).type('text/html').send(error.page);
        return sendError(reply, error);
      });
      http.setNotFoundHandler((_request, reply) => sendError(reply, notFound()));

      addAppRoutes(http, sim);
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

/** @throws ApiError where the fault is an answer */
async function applyFault(sim: Simulation, request: FastifyRequest, fault: ApiFault): Promise<void> {
  if (fault.fault === 'status') throw new ApiError(fault.status, 'Server Error');
  if (fault.fault === 'suspended') throw createSuspendedError();
  if (fault.fault === 'forbidden') throw createForbiddenError();
  if (fault.fault === 'sso') throw createSsoError(request);
  if (fault.fault === 'limited') throw sim.limiter.block(request.actor);
  if (fault.fault === 'slow') await sleep(fault.delayMs);
  else request.call.lost = true;
}

/** The answer to a token that an organisation's single sign-on doesn't accept. */
function createSsoError(request: FastifyRequest): ApiError {
  const [, , owner = ''] = request.url.slice(API_PREFIX.length).split(/[/?]/);
  const url = `${request.protocol}://${request.host}/orgs/${owner}/sso?authorization_request=A`;
  return new ApiError(
    403,
    'Resource protected by organization SAML enforcement. You must grant your OAuth token access to this organization.',
    { headers: { 'x-github-sso': `required; url=${url}` } },
  );
}

/** Breaks the connection: the caller gets no answer. */
function loseConnection(request: FastifyRequest): void {
  request.call.lost = true;
  request.raw.socket.destroy();
}

function setLimitHeaders(reply: FastifyReply, resource: LimitResource, state: PrimaryState): void {
  const { limit, remaining, used, reset } = state;
  reply.headers({
    'x-ratelimit-limit': limit,
    'x-ratelimit-remaining': remaining,
    'x-ratelimit-used': used,
    'x-ratelimit-reset': reset,
    'x-ratelimit-resource': resource,
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
