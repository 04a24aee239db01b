import type { Instance } from '../../../contracts/ports/backend.ts';
import type { InspectedContainer, ListedContainer, ListedNetwork } from './answers.ts';
import { DOCKER_LABELS } from './engine.ts';

const NEVER_STARTED = 'it was never started';

/** Converts a container that the engine inspected. */
export function inspectionToInstance(info: InspectedContainer): Instance {
  const { State: state, Config: config } = info;
  const common = {
    id: info.Id,
    runner: config.Labels[DOCKER_LABELS.runner] ?? '',
    group: config.Labels[DOCKER_LABELS.group] ?? '',
    createdAt: info.Created,
  };
  if (state.Status === 'created') return { ...common, state: 'dead', exitCode: null, reason: NEVER_STARTED };
  if (['running', 'paused', 'restarting'].includes(state.Status)) return { ...common, state: 'running' };
  const because = state.OOMKilled ? ' (out of memory)' : state.Error ? ` (${state.Error})`.slice(0, 400) : '';
  return {
    ...common,
    state: 'dead',
    exitCode: state.ExitCode,
    reason: `exited with code ${state.ExitCode}${because}`,
  };
}

/** Converts a container from the engine's list. */
export function listingToInstance(info: ListedContainer): Instance {
  const common = {
    id: info.Id,
    runner: info.Labels[DOCKER_LABELS.runner] ?? '',
    group: info.Labels[DOCKER_LABELS.group] ?? '',
    createdAt: new Date(info.Created * 1000).toISOString(),
  };
  if (info.State === 'created') return { ...common, state: 'dead', exitCode: null, reason: NEVER_STARTED };
  if (['running', 'paused', 'restarting'].includes(info.State)) return { ...common, state: 'running' };
  const code = /^Exited \((\d+)\)/.exec(info.Status)?.[1];
  const exitCode = code === undefined ? null : Number(code);
  return {
    ...common,
    state: 'dead',
    exitCode,
    reason: exitCode === null ? 'it ended' : `exited with code ${exitCode}`,
  };
}

/** Converts a network whose container was never created or is gone: it still occupies a range of addresses. */
export function networkToInstance(network: ListedNetwork): Instance {
  return {
    id: network.Id,
    runner: network.Labels[DOCKER_LABELS.runner] ?? '',
    group: network.Labels[DOCKER_LABELS.group] ?? '',
    state: 'dead',
    createdAt: network.Created,
    exitCode: null,
    reason: 'only its network exists',
  };
}

/** Whether it died after it had run: an instance that never started may still be in creation. */
export function hasDied(instance: Instance): boolean {
  return instance.state === 'dead' && instance.reason !== NEVER_STARTED;
}
