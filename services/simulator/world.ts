import { listRunners, removeRunner } from './jobs/runners.ts';
import { toRepositoryKey, type Account, type Repository, type RunnerGroup, type State } from './state.ts';
import type { Simulation } from './simulation.ts';

export function createEmptyState(): State {
  return {
    accounts: new Map(),
    repositories: new Map(),
    formerNames: new Map(),
    runners: new Map(),
    runs: new Map(),
    jobs: new Map(),
    queue: new Set(),
    active: new Set(),
    hooks: new Map(),
    deliveries: new Map(),
    registrationTokens: new Map(),
    jitConfigs: [],
  };
}

/** Adds a public repository `owner/name`, and its owner as an organisation with the Default runner group. */
export function addRepository(sim: Simulation, fullName: string): Repository {
  const [owner = '', name = ''] = fullName.split('/');
  if (owner === '' || name === '') throw new Error(`"${fullName}" is not owner/name`);
  const account = sim.state.accounts.get(owner.toLowerCase()) ?? addAccount(sim, owner);
  const repository: Repository = { id: sim.nextId('repository'), owner: account, name, private: false };
  sim.state.repositories.set(toRepositoryKey(owner, name), repository);
  sim.state.formerNames.delete(toRepositoryKey(owner, name));
  return repository;
}

function addAccount(sim: Simulation, login: string): Account {
  const account: Account = {
    id: sim.nextId('account'),
    login,
    groups: new Map(),
    installations: new Map([...sim.apps.values()].map((app) => [app.id, app.installation + sim.state.accounts.size])),
  };
  account.groups.set(1, {
    id: 1,
    name: 'Default',
    default: true,
    visibility: 'all',
    allowsPublicRepositories: true,
    restrictedToWorkflows: false,
    selectedWorkflows: [],
    repositoryIds: new Set(),
  });
  sim.state.accounts.set(login.toLowerCase(), account);
  return account;
}

/**
 * Renames a repository, or transfers it to another organisation. It keeps its id; REST answers its former name with a
 * redirection; webhooks have the new name at once.
 *
 * @throws Error when the new name is taken
 */
export function moveRepository(sim: Simulation, repository: Repository, to: { owner: string; name: string }): void {
  const { owner, name } = to;
  const before = `${repository.owner.login}/${repository.name}`;
  if (sim.state.repositories.has(toRepositoryKey(owner, name))) throw new Error(`${owner}/${name} exists already`);
  const formerKey = toRepositoryKey(repository.owner.login, repository.name);
  sim.state.repositories.delete(formerKey);
  repository.owner = sim.state.accounts.get(owner.toLowerCase()) ?? addAccount(sim, owner);
  repository.name = name;
  const group = repository.owner.groups.get(1);
  for (const runner of sim.state.runners.values()) {
    if (runner.scope.repository !== repository || !group) continue;
    runner.scope = { account: repository.owner, repository };
    runner.group = group;
  }
  sim.state.repositories.set(toRepositoryKey(owner, name), repository);
  sim.state.formerNames.delete(toRepositoryKey(owner, name));
  sim.state.formerNames.set(formerKey, repository);
  for (const hook of sim.state.hooks.values()) {
    if (hook.kind === 'repository' && hook.target === before) hook.target = `${repository.owner.login}/${name}`;
  }
  sim.log.add('repository.moved', { repositoryId: repository.id, from: before, to: `${owner}/${name}` });
}

/** Deletes a repository with its runners and webhooks. Its open jobs get no runner and no webhook any more. */
export function deleteRepository(sim: Simulation, repository: Repository): void {
  const fullName = `${repository.owner.login}/${repository.name}`;
  sim.state.repositories.delete(toRepositoryKey(repository.owner.login, repository.name));
  for (const [key, known] of sim.state.formerNames) if (known === repository) sim.state.formerNames.delete(key);
  for (const job of sim.state.queue) if (job.run.repository === repository) sim.state.queue.delete(job);
  for (const runner of listRunners(sim, { account: repository.owner, repository })) removeRunner(sim, runner, 'api');
  for (const hook of sim.state.hooks.values()) {
    if (hook.kind === 'repository' && hook.target === fullName) sim.state.hooks.delete(hook.id);
  }
  sim.log.add('repository.deleted', { repositoryId: repository.id, name: fullName });
}

/** Deletes a runner group and makes it again with the same name and settings, as Terraform does: its id changes. */
export function recreateGroup(sim: Simulation, account: Account, group: RunnerGroup): RunnerGroup {
  const fallback = account.groups.get(1) ?? group;
  for (const runner of listRunners(sim, { account, repository: null })) {
    if (runner.group === group) runner.group = fallback;
  }
  account.groups.delete(group.id);
  const fresh: RunnerGroup = { ...group, id: sim.nextId('group') };
  account.groups.set(fresh.id, fresh);
  sim.log.add('group.recreated', { group: group.name, from: group.id, to: fresh.id });
  return fresh;
}
