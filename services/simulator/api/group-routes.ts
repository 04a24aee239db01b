import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { requestAssignment } from '../jobs/assign.ts';
import { listRunners } from '../jobs/runners.ts';
import { toMinimalRepository } from '../shapes/repository.ts';
import { toGroupShape, toRunnerShape } from '../shapes/runner.ts';
import type { Account, Repository, RunnerGroup } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { ApiError, invalid, notFound } from './errors.ts';
import { parseBody, parseNumber, paginate, findScope, type Params, type Request } from './request.ts';

const ids = z.array(z.number().int());
const groupFields = {
  name: z.string().min(1),
  visibility: z.enum(['selected', 'all', 'private']).optional(),
  allows_public_repositories: z.boolean().optional(),
  restricted_to_workflows: z.boolean().optional(),
  selected_workflows: z.array(z.string()).optional(),
};
const newGroup = z.object({ ...groupFields, selected_repository_ids: ids.default([]), runners: ids.default([]) });
const changedGroup = z.object(groupFields);

/** Routes of an organisation's runner groups: which repositories and workflows may use which runners. */
export function addGroupRoutes(http: FastifyInstance, sim: Simulation): void {
  const path = '/orgs/:org/actions/runner-groups';
  const account = (request: Request): Account => findScope(sim, request, 'runners').account;
  const groupIn = (request: Request): { account: Account; group: RunnerGroup } => {
    const owner = account(request);
    const group = owner.groups.get(parseNumber(request.params.id));
    if (!group) throw notFound();
    return { account: owner, group };
  };
  const listRepositories = (owner: Account): Repository[] =>
    [...sim.state.repositories.values()].filter((repository) => repository.owner === owner);
  const move = (owner: Account, runnerIds: number[], group: RunnerGroup): void => {
    for (const runner of listRunners(sim, { account: owner, repository: null })) {
      if (runnerIds.includes(runner.id)) runner.group = group;
    }
  };

  http.get<{ Params: Partial<Params> }>(path, (request, reply) => {
    const owner = account(request);
    const groups = [...owner.groups.values()];
    const page = paginate(request, reply, groups).map((group) => toGroupShape(sim, owner.login, group));
    return { total_count: groups.length, runner_groups: page };
  });

  http.post<{ Params: Partial<Params> }>(path, (request, reply) => {
    const owner = account(request);
    const order = parseBody(request, newGroup);
    assertNameFree(owner, order.name);
    const group: RunnerGroup = {
      id: sim.nextId('group'),
      default: false,
      repositoryIds: new Set(order.selected_repository_ids),
      ...mergeGroupSettings(order, {
        name: order.name,
        visibility: 'all',
        allowsPublicRepositories: false,
        restrictedToWorkflows: false,
        selectedWorkflows: [],
      }),
    };
    owner.groups.set(group.id, group);
    move(owner, order.runners, group);
    return reply.code(201).send(toGroupShape(sim, owner.login, group));
  });

  http.get<{ Params: Partial<Params> }>(`${path}/:id`, (request) => {
    const { account: owner, group } = groupIn(request);
    return toGroupShape(sim, owner.login, group);
  });

  http.patch<{ Params: Partial<Params> }>(`${path}/:id`, (request) => {
    const { account: owner, group } = groupIn(request);
    const order = parseBody(request, changedGroup);
    assertNameFree(owner, order.name, group);
    Object.assign(group, mergeGroupSettings(order, group));
    requestAssignment(sim);
    return toGroupShape(sim, owner.login, group);
  });

  http.delete<{ Params: Partial<Params> }>(`${path}/:id`, (request, reply) => {
    const { account: owner, group } = groupIn(request);
    if (group.default) throw invalid('The default runner group cannot be deleted.');
    const fallback = owner.groups.get(1) ?? group;
    for (const runner of listRunners(sim, { account: owner, repository: null })) {
      if (runner.group === group) runner.group = fallback;
    }
    owner.groups.delete(group.id);
    return reply.code(204).send();
  });

  http.get<{ Params: Partial<Params> }>(`${path}/:id/repositories`, (request, reply) => {
    const { account: owner, group } = groupIn(request);
    const chosen = listRepositories(owner).filter((repository) => group.repositoryIds.has(repository.id));
    const page = paginate(request, reply, chosen).map((repository) => toMinimalRepository(sim.urls, repository));
    return { total_count: chosen.length, repositories: page };
  });

  http.put<{ Params: Partial<Params> }>(`${path}/:id/repositories`, (request, reply) => {
    const { group } = groupIn(request);
    group.repositoryIds = new Set(
      parseBody(request, z.object({ selected_repository_ids: ids })).selected_repository_ids,
    );
    requestAssignment(sim);
    return reply.code(204).send();
  });

  http.put<{ Params: Partial<Params> }>(`${path}/:id/repositories/:repository`, (request, reply) => {
    groupIn(request).group.repositoryIds.add(parseNumber(request.params.repository));
    requestAssignment(sim);
    return reply.code(204).send();
  });

  http.delete<{ Params: Partial<Params> }>(`${path}/:id/repositories/:repository`, (request, reply) => {
    groupIn(request).group.repositoryIds.delete(parseNumber(request.params.repository));
    return reply.code(204).send();
  });

  http.get<{ Params: Partial<Params> }>(`${path}/:id/runners`, (request, reply) => {
    const { account: owner, group } = groupIn(request);
    const members = listRunners(sim, { account: owner, repository: null }).filter((runner) => runner.group === group);
    const page = paginate(request, reply, members).map((runner) => toRunnerShape(sim, runner));
    return { total_count: members.length, runners: page };
  });

  http.put<{ Params: Partial<Params> }>(`${path}/:id/runners/:runner`, (request, reply) => {
    const { account: owner, group } = groupIn(request);
    move(owner, [parseNumber(request.params.runner)], group);
    requestAssignment(sim);
    return reply.code(204).send();
  });
}

function assertNameFree(owner: Account, name: string, except?: RunnerGroup): void {
  const others = [...owner.groups.values()].filter((group) => group !== except);
  if (others.some((group) => group.name.toLowerCase() === name.toLowerCase())) {
    throw new ApiError(409, `Already exists - A runner group with the name ${name} already exists.`);
  }
}

type GroupSettings = Pick<
  RunnerGroup,
  'name' | 'visibility' | 'allowsPublicRepositories' | 'restrictedToWorkflows' | 'selectedWorkflows'
>;

/** The settings of the request; where it has none, those from before. */
function mergeGroupSettings(order: z.infer<typeof changedGroup>, before: GroupSettings): GroupSettings {
  return {
    name: order.name,
    visibility: order.visibility ?? before.visibility,
    allowsPublicRepositories: order.allows_public_repositories ?? before.allowsPublicRepositories,
    restrictedToWorkflows: order.restricted_to_workflows ?? before.restrictedToWorkflows,
    selectedWorkflows: order.selected_workflows ?? before.selectedWorkflows,
  };
}
