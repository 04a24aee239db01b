import type { Job } from '../state.ts';
import { recordJob, type Simulation } from '../simulation.ts';
import { unassign } from './assign.ts';

/**
 * Makes a job one of those that GitHub lists as queued for months: no runner gets it, nothing ends it, and no webhook says so.
 *
 * @param order `ageMs`: so much older are its times and those of its run; `runIsOver`: its run is completed all the same
 * @throws Error where a runner has or had the job
 */
export function abandonJob(sim: Simulation, job: Job, order: { ageMs: number; runIsOver: boolean }): void {
  if (job.startedAt !== null || job.status === 'completed') throw new Error(`job ${job.id} is ${job.status}`);
  unassign(sim, job);
  sim.state.queue.delete(job);
  job.status = 'queued';
  recordJob(sim, job, 'abandoned');
  const { run } = job;
  run.isOver = order.runIsOver;
  job.createdAt -= order.ageMs;
  job.queuedAt -= order.ageMs;
  run.createdAt -= order.ageMs;
  run.updatedAt -= order.ageMs;
}
