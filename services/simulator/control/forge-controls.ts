import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Simulation } from '../simulation.ts';
import { toRepositoryKey, type Repository } from '../state.ts';
import { deleteRepository, moveRepository, recreateGroup } from '../world.ts';
import { NotFoundError } from './not-found.ts';

const login = z.string().regex(/^[^/]+$/);
const repositoryOrder = z.strictObject({
  name: login.optional(),
  owner: login.optional(),
  private: z.boolean().optional(),
});
const appOrder = z.strictObject({
  suspended: z.boolean().optional(),
  /** All permissions of the App from now on. */
  permissions: z.record(z.string(), z.enum(['read', 'write'])).optional(),
});

type RepositoryPath = { Params: { owner: string; repo: string } };

/** Controls of what people do on GitHub itself: with repositories, runner groups and Apps. */
export function addForgeControls(http: FastifyInstance, sim: Simulation): void {
  const findRepository = (owner: string, name: string): Repository => {
    const repository = sim.state.repositories.get(toRepositoryKey(owner, name));
    if (!repository) throw new NotFoundError(`repository ${owner}/${name} does not exist`);
    return repository;
  };

  http.patch<RepositoryPath>('/repos/:owner/:repo', ({ params, body }) => {
    const repository = findRepository(params.owner, params.repo);
    const order = repositoryOrder.parse(body);
    repository.private = order.private ?? repository.private;
    if (order.name !== undefined || order.owner !== undefined) {
      const { name = repository.name, owner = repository.owner.login } = order;
      moveRepository(sim, repository, { name, owner });
    }
    return {
      id: repository.id,
      repository: `${repository.owner.login}/${repository.name}`,
      private: repository.private,
    };
  });

  http.delete<RepositoryPath>('/repos/:owner/:repo', ({ params }) => {
    const repository = findRepository(params.owner, params.repo);
    deleteRepository(sim, repository);
    return { id: repository.id };
  });

  http.post<{ Params: { org: string; name: string } }>('/orgs/:org/groups/:name/recreate', ({ params }) => {
    const account = sim.state.accounts.get(params.org.toLowerCase());
    const group = [...(account?.groups.values() ?? [])].find(({ name }) => name === params.name);
    if (!account || !group) throw new NotFoundError(`runner group ${params.name} of ${params.org} does not exist`);
    if (group.default) throw new Error('the default runner group cannot be deleted');
    return { formerId: group.id, id: recreateGroup(sim, account, group).id };
  });

  http.patch<{ Params: { id: string } }>('/apps/:id', ({ params, body }) => {
    const app = sim.apps.get(Number(params.id));
    if (!app) throw new NotFoundError(`App ${params.id} does not exist`);
    const { suspended = app.suspended, permissions = app.permissions } = appOrder.parse(body);
    Object.assign(app, { suspended, permissions });
    return { id: app.id, suspended, permissions };
  });
}
