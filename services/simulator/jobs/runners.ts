import { randomBytes } from 'node:crypto';
import type { Runner, RunnerGroup, RunnerScope } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { requestAssignment, requeue } from './assign.ts';

/** Registers a runner. The caller has checked that its name is free. */
export function registerRunner(
  sim: Simulation,
  order: { name: string; scope: RunnerScope; group: RunnerGroup; labels: string[]; ephemeral: boolean },
): Runner {
  const runner: Runner = {
    ...order,
    id: sim.nextId('runner'),
    secret: randomBytes(24).toString('base64url'),
    registeredAt: Date.now(),
    online: false,
    lastSeen: 0,
    everOnline: false,
    job: null,
    answerPoll: null,
  };
  sim.state.runners.set(runner.id, runner);
  sim.log.add('runner.registered', { runner: runner.name, runnerId: runner.id, group: runner.group.name });
  return runner;
}

/** Removes a registration. A job that its runner hasn't started is queued again; one that it runs is lost. */
export function removeRunner(sim: Simulation, runner: Runner, by: 'api' | 'ephemeral' | 'expired'): void {
  const job = runner.job;
  sim.state.runners.delete(runner.id);
  sim.log.add('runner.removed', {
    runner: runner.name,
    runnerId: runner.id,
    by,
    wasBusy: job !== null && job.startedAt !== null,
    everOnline: runner.everOnline,
  });
  goOffline(sim, runner, 'its registration was removed');
  if (job && job.startedAt === null) requeue(sim, job, `${runner.name} was removed`);
}

export function goOnline(sim: Simulation, runner: Runner): void {
  runner.online = true;
  runner.everOnline = true;
  sim.log.add('runner.online', { runner: runner.name, runnerId: runner.id });
  requestAssignment(sim);
}

export function goOffline(sim: Simulation, runner: Runner, why: string): void {
  if (!runner.online) return;
  runner.online = false;
  runner.answerPoll?.(null);
  sim.log.add('runner.offline', { runner: runner.name, runnerId: runner.id, why });
}

export function formatScope(scope: RunnerScope): string {
  return scope.repository ? `${scope.account.login}/${scope.repository.name}` : scope.account.login;
}

/** The registrations of one organisation or repository, oldest first. */
export function listRunners(sim: Simulation, scope: RunnerScope): Runner[] {
  return [...sim.state.runners.values()].filter(
    (runner) => runner.scope.account === scope.account && runner.scope.repository === scope.repository,
  );
}
