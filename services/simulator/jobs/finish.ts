import type { Job, Run, Runner } from '../state.ts';
import type { Conclusion } from '../protocol.ts';
import { recordJob, type Simulation } from '../simulation.ts';
import { listJobs } from '../shapes/run.ts';
import { announceJob } from '../webhooks/announce.ts';
import { advanceRun, markCompleted } from './advance.ts';
import { unassign } from './assign.ts';
import { removeRunner } from './runners.ts';

/** Starts a job. @param who the runner, which need not be registered */
export function startJob(sim: Simulation, job: Job, who: Runner | NonNullable<Job['runner']>): void {
  job.runner =
    'scope' in who ? { id: who.id, name: who.name, groupId: who.group.id, groupName: who.group.name } : { ...who };
  sim.state.queue.delete(job);
  sim.state.active.add(job);
  job.status = 'in_progress';
  job.startedAt = Date.now();
  recordJob(sim, job, 'started', { runner: job.runner.name });
  announceJob(sim, job, 'in_progress');
}

/** Ends a job: removes its ephemeral runner, cancels the rest of its matrix where it failed, and begins the jobs that need it. */
export function finishJob(sim: Simulation, job: Job, conclusion: Conclusion, detail?: string): void {
  if (job.status === 'completed') return;
  const runner = job.assignedTo;
  const ran = job.startedAt !== null;
  unassign(sim, job);
  markCompleted(sim, job, conclusion, detail);
  job.answerCancellation?.();
  if (runner && ran && runner.ephemeral && sim.state.runners.has(runner.id)) removeRunner(sim, runner, 'ephemeral');
  if (conclusion === 'failure' && job.spec.failFast && Object.keys(job.spec.matrix).length > 0) {
    for (const sibling of listJobs(job.run)) if (sibling.spec.key === job.spec.key) cancelJob(sim, sibling);
  }
  if (job.attempt === job.run.attempt) advanceRun(sim, job.run);
}

/** Ends a job whose runner vanished. The registration stays, offline, as on GitHub. */
export function loseJob(sim: Simulation, job: Job): void {
  const name = job.runner?.name ?? '';
  recordJob(sim, job, 'lost', { runner: name });
  job.annotations.push({
    level: 'failure',
    message: `The self-hosted runner: ${name} lost communication with the server. Verify the machine is running and has a healthy network connection.`,
  });
  unassign(sim, job);
  finishJob(sim, job, 'failure', 'lost communication');
}

/** Cancels a job: at once before it has started, else through its runner. @returns false when it had ended */
export function cancelJob(sim: Simulation, job: Job): boolean {
  if (job.status === 'completed') return false;
  if (job.startedAt === null) {
    finishJob(sim, job, 'cancelled');
  } else if (job.cancelRequestedAt === null) {
    job.cancelRequestedAt = Date.now();
    recordJob(sim, job, 'cancelling');
    job.answerCancellation?.();
    if (job.assignedTo === null) finishJob(sim, job, 'cancelled');
  }
  return true;
}

/** Cancels the open jobs of a run. @returns false when there were none */
export function cancelRun(sim: Simulation, run: Run): boolean {
  const open = listJobs(run).filter((job) => job.status !== 'completed');
  if (open.length === 0) return false;
  run.cancelled = true;
  for (const job of open) cancelJob(sim, job);
  return true;
}
