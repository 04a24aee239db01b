import { toRepositoryKey, type Account, type Repository, type State } from './state.ts';
import type { Simulation } from './simulation.ts';

export function createEmptyState(): State {
  return {
    accounts: new Map(),
    repositories: new Map(),
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
  return repository;
}

function addAccount(sim: Simulation, login: string): Account {
  const account: Account = {
    id: sim.nextId('account'),
    login,
    groups: new Map(),
    installationId: sim.app ? (sim.app.installation ?? 1) + sim.state.accounts.size : null,
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
