import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Account, GithubApp } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { toIsoSeconds } from '../shapes/account.ts';
import { toAppShape, toInstallationShape } from '../shapes/app.ts';
import { toRepositoryShape } from '../shapes/repository.ts';
import { issueToken, revokeToken } from './auth.ts';
import { ApiError, notFound } from './errors.ts';
import { findNamedRepository, parseBody, parseNumber, paginate, type Params, type Request } from './request.ts';

const tokenOrder = z.object({
  repositories: z.array(z.string()).optional(),
  repository_ids: z.array(z.number().int()).optional(),
  permissions: z.record(z.string(), z.string()).optional(),
});

/** Routes of an App itself, its installations and their tokens. */
export function addAppRoutes(http: FastifyInstance, sim: Simulation): void {
  const listInstallations = (app: GithubApp): Account[] =>
    [...sim.state.accounts.values()].filter(({ installations }) => installations.has(app.id));
  const findInstallation = (app: GithubApp, id: number): Account => {
    const account = listInstallations(app).find(({ installations }) => installations.get(app.id) === id);
    if (!account) throw notFound();
    return account;
  };

  http.get<{ Params: Partial<Params> }>('/app', (request) => toAppShape(sim, requireApp(request)));

  http.get<{ Params: Partial<Params> }>('/app/installations', (request, reply) => {
    const app = requireApp(request);
    return paginate(request, reply, listInstallations(app)).map((item) => {
      const listed = toInstallationShape(sim, app, item);
      // Only here GitHub's description requires an account with the fields of both a user and an enterprise.
      const { created_at, updated_at } = listed;
      const both = { ...listed.account, name: item.login, slug: item.login, created_at, updated_at };
      return { ...listed, account: both };
    });
  });

  http.get<{ Params: Partial<Params> }>('/app/installations/:id', (request) => {
    const app = requireApp(request);
    return toInstallationShape(sim, app, findInstallation(app, parseNumber(request.params.id)));
  });

  http.post<{ Params: Partial<Params> }>('/app/installations/:id/access_tokens', (request, reply) => {
    const app = requireApp(request);
    const id = parseNumber(request.params.id);
    const installation = { app, id, account: findInstallation(app, id) };
    const { permissions: wanted } = parseBody(request, tokenOrder);
    const { token, permissions, expiresAt } = issueToken(sim, installation, wanted);
    return reply
      .code(201)
      .send({ token, expires_at: toIsoSeconds(expiresAt), permissions, repository_selection: 'all' });
  });

  http.get<{ Params: Partial<Params> }>('/orgs/:org/installation', (request) => {
    const app = requireApp(request);
    const account = sim.state.accounts.get((request.params.org ?? '').toLowerCase());
    if (!account) throw notFound();
    return toInstallationShape(sim, app, account);
  });

  http.get<{ Params: Partial<Params> }>('/repos/:owner/:repo/installation', (request) => {
    const app = requireApp(request);
    return toInstallationShape(sim, app, findNamedRepository(sim, request).owner);
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
    const core = sim.limiter.peek(request.actor);
    const registration = sim.limiter.peek(request.actor, 'actions_runner_registration');
    const search = { limit: 30, remaining: 30, used: 0, reset: core.reset };
    return { resources: { core, search, actions_runner_registration: registration }, rate: core };
  });
}

/** The App, where the request has its JSON web token. @throws ApiError 401 */
export function requireApp(request: Request): GithubApp {
  if (request.actor.kind !== 'app') throw new ApiError(401, 'A JSON web token could not be decoded');
  return request.actor.app;
}
