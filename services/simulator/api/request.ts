import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { toRepositoryKey, type Repository, type RunnerScope } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import type { Actor } from './actor.ts';
import { requirePermission } from './auth.ts';
import { ApiError, invalid, notFound } from './errors.ts';
import { createRedirect, findMovedRepository } from './redirect.ts';
import { toWrongFields } from '../../../contracts/lib/schema-errors.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who makes the request; set for everything under /api/v3. */
    actor: Actor;
  }
}

/** Path parameters; a route has those that its path names. */
export interface Params {
  org: string;
  owner: string;
  repo: string;
  id: string;
  name: string;
  attempt: string;
  delivery: string;
  repository: string;
  runner: string;
}

export type Request = FastifyRequest<{ Params: Partial<Params> }>;

/** The body, checked. @throws ApiError 422 naming the wrong fields */
export function parseBody<T>(request: Request, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(request.body ?? {});
  if (parsed.success) return parsed.data;
  const problems = toWrongFields(parsed.error, 'body').map(({ path, message }) => `${path}: ${message}`);
  throw invalid('Invalid request.\n\n' + problems.join('\n'), problems);
}

const pageQuery = z.object({
  per_page: z.coerce.number().int().catch(30),
  page: z.coerce.number().int().min(1).catch(1),
});

/** One page of a list; sets the `link` header. `per_page` is 30 by default, and at most 100. */
export function paginate<T>(request: Request, reply: FastifyReply, items: readonly T[]): T[] {
  const query = pageQuery.parse(request.query);
  const size = Math.min(Math.max(query.per_page, 1), 100);
  const last = Math.max(1, Math.ceil(items.length / size));
  const link = (page: number, rel: string): string => `<${pageUrl(request, { page: String(page) })}>; rel="${rel}"`;
  const links = [
    ...(query.page > 1 ? [link(query.page - 1, 'prev'), link(1, 'first')] : []),
    ...(query.page < last ? [link(query.page + 1, 'next'), link(last, 'last')] : []),
  ];
  if (links.length > 0) reply.header('link', links.join(', '));
  return items.slice((query.page - 1) * size, query.page * size);
}

/** The address of this request with other query parameters. */
export function pageUrl(request: Request, query: Record<string, string>): string {
  const url = new URL(request.url, `${request.protocol}://${request.host}`);
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  return url.href;
}

/** The repository in the path. @throws ApiError 404; 301 or 307 for a former name */
export function findNamedRepository(sim: Simulation, request: Request): Repository {
  const { owner = '', repo = '' } = request.params;
  const repository = sim.state.repositories.get(toRepositoryKey(owner, repo));
  if (repository) return repository;
  const moved = findMovedRepository(sim, owner, repo);
  throw moved ? createRedirect(request, moved) : notFound();
}

/** The repository in the path, where this actor may see it. @throws ApiError 404; 301 or 307 for a former name */
export function findRepository(sim: Simulation, request: Request): Repository {
  const repository = findNamedRepository(sim, request);
  if (!canSee(request.actor, repository.owner.login)) throw notFound();
  return repository;
}

/** The organisation or repository in the path. @throws ApiError 404; 403 without the permission */
export function findScope(sim: Simulation, request: Request, permission: 'runners' | 'hooks'): RunnerScope {
  const level = request.method === 'GET' ? 'read' : 'write';
  if (request.params.org === undefined) {
    const repository = findRepository(sim, request);
    requirePermission(request.actor, permission === 'runners' ? 'administration' : 'repository_hooks', level);
    return { account: repository.owner, repository };
  }
  const account = sim.state.accounts.get(request.params.org.toLowerCase());
  if (!account || !canSee(request.actor, account.login)) throw notFound();
  requirePermission(
    request.actor,
    permission === 'runners' ? 'organization_self_hosted_runners' : 'organization_hooks',
    level,
  );
  return { account, repository: null };
}

function canSee(actor: Actor, login: string): boolean {
  if (actor.kind === 'app') throw new ApiError(401, 'Bad credentials');
  return actor.kind === 'token' || actor.account.login === login;
}

/** A number in the path. @throws ApiError 404 for anything else */
export function parseNumber(text: string | undefined): number {
  if (text === undefined || !/^\d+$/.test(text)) throw notFound();
  return Number(text);
}
