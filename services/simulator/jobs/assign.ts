import type { Job, Runner } from '../state.ts';
import { recordJob, type Simulation } from '../simulation.ts';

/** Whether a runner may have a job: by scope, group and labels alone. A runner of a repository is in no group that a job can ask for. */
function accepts(runner: Runner, job: Job): boolean {
  const { repository } = job.run;
  if (runner.scope.repository) {
    if (runner.scope.repository !== repository) return false;
  } else if (runner.scope.account !== repository.owner || !groupAllows(runner, job)) {
    return false;
  }
  if (job.spec.group !== null && (runner.scope.repository !== null || runner.group.name !== job.spec.group))
    return false;
  const offered = new Set(runner.labels.map((label) => label.toLowerCase()));
  offered.add('self-hosted');
  return job.spec.labels.every((label) => offered.has(label.toLowerCase()));
}

function groupAllows({ group }: Runner, { run }: Job): boolean {
  const { repository } = run;
  if (group.visibility === 'selected' && !group.repositoryIds.has(repository.id)) return false;
  if (group.visibility === 'private' && !repository.private) return false;
  if (!repository.private && !group.allowsPublicRepositories) return false;
  if (!group.restrictedToWorkflows) return true;
  const file = `${repository.owner.login}/${repository.name}/${run.path}`;
  return [`${file}@${run.branch}`, `${file}@refs/heads/${run.branch}`, `${file}@${run.sha}`].some((ref) =>
    group.selectedWorkflows.includes(ref),
  );
}

/** Assigns waiting jobs soon: once for all changes in this turn of the event loop. */
export function requestAssignment(sim: Simulation): void {
  if (sim.assignmentDue) return;
  sim.assignmentDue = true;
  setImmediate(() => {
    sim.assignmentDue = false;
    assign(sim);
  });
}

/** Assigns each waiting job, oldest first, to any online idle runner that may have it. */
function assign(sim: Simulation): void {
  const idle = new Set([...sim.state.runners.values()].filter((runner) => runner.online && runner.job === null));
  for (const job of sim.state.queue) {
    if (idle.size === 0) return;
    const runner = sim.random.pick([...idle].filter((candidate) => accepts(candidate, job)));
    if (!runner) continue;
    idle.delete(runner);
    sim.state.queue.delete(job);
    sim.state.active.add(job);
    job.assignedTo = runner;
    job.assignedAt = Date.now();
    runner.job = job;
    recordJob(sim, job, 'assigned', { runner: runner.name });
    runner.answerPoll?.(job);
  }
}

/** Takes a job that hasn't started from its runner, and queues it again. GitHub sends no webhook for that. */
export function requeue(sim: Simulation, job: Job, detail: string): void {
  unassign(sim, job);
  sim.state.queue.add(job);
  recordJob(sim, job, 'requeued', { detail });
  requestAssignment(sim);
}

/** Separates a job from its runner, which is then idle. */
export function unassign(sim: Simulation, job: Job): void {
  sim.state.active.delete(job);
  if (job.assignedTo?.job === job) job.assignedTo.job = null;
  job.assignedTo = null;
}
