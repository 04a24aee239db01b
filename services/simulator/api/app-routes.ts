import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { toRepositoryKey, type Account } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { toIsoSeconds } from '../shapes/account.ts';
import { toAppShape, toInstallationShape } from '../shapes/app.ts';
import { toRepositoryShape } from '../shapes/repository.ts';
import { issueToken, revokeToken } from './auth.ts';
import { ApiError, notFound } from './errors.ts';
import { parseBody, parseNumber, paginate, type Params, type Request } from './request.ts';
import type { RateLimiter } from './rate-limit.ts';

const tokenOrder = z.object({
  repositories: z.array(z.string()).optional(),
  repository_ids: z.array(z.number().int()).optional(),
  permissions: z.record(z.string(), z.string()).optional(),
});

/** Routes of the App itself, its installations and their tokens. */
export function addAppRoutes(http: FastifyInstance, sim: Simulation, limiter: RateLimiter): void {
  const accounts = (): Account[] => [...sim.state.accounts.values()].filter((item) => item.installationId !== null);
  const installation = (account: Account | undefined) => {
    if (!sim.app || !account || account.installationId === null) throw notFound();
    return toInstallationShape(sim, sim.app, account);
  };

  http.get<{ Params: Partial<Params> }>('/app', (request) => toAppShape(sim, requireApp(sim, request)));

  http.get<{ Params: Partial<Params> }>('/app/installations', (request, reply) => {
    requireApp(sim, request);
    return paginate(request, reply, accounts()).map((item) => {
      const listed = installation(item);
      // Only here GitHub's description requires an account with the fields of both a user and an enterprise.
      const { created_at, updated_at } = listed;
      const both = { ...listed.account, name: item.login, slug: item.login, created_at, updated_at };
      return { ...listed, account: both };
    });
  });

  http.get<{ Params: Partial<Params> }>('/app/installations/:id', (request) => {
    requireApp(sim, request);
    const id = parseNumber(request.params.id);
    return installation(accounts().find((account) => account.installationId === id));
  });

  http.post<{ Params: Partial<Params> }>('/app/installations/:id/access_tokens', (request, reply) => {
    requireApp(sim, request);
    const id = parseNumber(request.params.id);
    const account = accounts().find((item) => item.installationId === id);
    if (!account) throw notFound();
    const { token, permissions, expiresAt } = issueToken(sim, account, parseBody(request, tokenOrder).permissions);
    return reply
      .code(201)
      .send({ token, expires_at: toIsoSeconds(expiresAt), permissions, repository_selection: 'all' });
  });

  http.get<{ Params: Partial<Params> }>('/orgs/:org/installation', (request) => {
    requireApp(sim, request);
    return installation(sim.state.accounts.get((request.params.org ?? '').toLowerCase()));
  });

  http.get<{ Params: Partial<Params> }>('/repos/:owner/:repo/installation', (request) => {
    requireApp(sim, request);
    const { owner = '', repo = '' } = request.params;
    return installation(sim.state.repositories.get(toRepositoryKey(owner, repo))?.owner);
  });

  http.get<{ Params: Partial<Params> }>('/installation/repositories', (request, reply) => {
    const { actor } = request;
    if (actor.kind !== 'installation')
      throw new ApiError(403, 'You must authenticate with an installation access token');
    const mine = [...sim.state.repositories.values()].filter((repository) => repository.owner === actor.account);
    const repositories = paginate(request, reply, mine).map((repository) => toRepositoryShape(sim.urls, repository));
    return { total_count: mine.length, repository_selection: 'all', repositories };
  });

  http.delete<{ Params: Partial<Params> }>('/installation/token', (request, reply) => {
    if (request.actor.kind === 'installation') revokeToken(sim, request.actor.token);
    return reply.code(204).send();
  });

  http.get<{ Params: Partial<Params> }>('/rate_limit', (request) => {
    const core = limiter.peek(request.actor);
    const other = { limit: 30, remaining: 30, used: 0, reset: core.reset };
    return { resources: { core, search: other, actions_runner_registration: { ...other, limit: 10_000 } }, rate: core };
  });
}

/** The App, where the request has its JSON web token. @throws ApiError 401 */
export function requireApp(sim: Simulation, request: Request): NonNullable<Simulation['app']> {
  if (!sim.app || request.actor.kind !== 'app') throw new ApiError(401, 'A JSON web token could not be decoded');
  return sim.app;
}
