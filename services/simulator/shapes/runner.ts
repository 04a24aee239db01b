import type { Runner, RunnerGroup } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import type { Schemas } from './account.ts';

const READ_ONLY = new Set(['self-hosted', 'linux', 'windows', 'macos', 'x64', 'arm', 'arm64']);

/** Whether GitHub sets this label itself, which then can't be removed. */
export const isReadOnlyLabel = (label: string): boolean => READ_ONLY.has(label.toLowerCase());

/** Each label once: GitHub compares them without regard to case. */
export const toUniqueLabels = (labels: readonly string[]): string[] => {
  const lower = labels.map((label) => label.toLowerCase());
  return labels.filter((label, index) => lower.indexOf(label.toLowerCase()) === index);
};

export function toRunnerLabels(runner: Runner): Schemas['runner-label'][] {
  return runner.labels.map((name, index) => ({
    id: runner.id * 100 + index,
    name,
    type: isReadOnlyLabel(name) ? 'read-only' : 'custom',
  }));
}

/** `busy` as REST shows it: `timing.busyLagMs` late. */
export function seemsBusy(sim: Simulation, runner: Runner): boolean {
  const startedAt = runner.job?.startedAt ?? null;
  return startedAt !== null && Date.now() - startedAt >= sim.timing.busyLagMs;
}

export function toRunnerShape(sim: Simulation, runner: Runner): Schemas['runner'] {
  return {
    id: runner.id,
    name: runner.name,
    os: runner.everOnline ? 'Linux' : 'unknown',
    status: runner.online ? 'online' : 'offline',
    busy: seemsBusy(sim, runner),
    ephemeral: runner.ephemeral,
    labels: toRunnerLabels(runner),
    runner_group_id: runner.group.id,
  };
}

export function toGroupShape(sim: Simulation, login: string, group: RunnerGroup): Schemas['runner-groups-org'] {
  const url = `${sim.urls.api}/orgs/${login}/actions/runner-groups/${group.id}`;
  return {
    id: group.id,
    name: group.name,
    visibility: group.visibility,
    default: group.default,
    ...(group.visibility === 'selected' ? { selected_repositories_url: `${url}/repositories` } : {}),
    runners_url: `${url}/runners`,
    hosted_runners_url: `${url}/hosted-runners`,
    inherited: false,
    allows_public_repositories: group.allowsPublicRepositories,
    restricted_to_workflows: group.restrictedToWorkflows,
    selected_workflows: group.selectedWorkflows,
    workflow_restrictions_read_only: false,
  };
}
