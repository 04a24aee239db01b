import type { Job, Runner } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { requeue } from './assign.ts';
import { finishJob, loseJob } from './finish.ts';
import { goOffline, removeRunner } from './runners.ts';

/** Does everything that depends on time alone. Called every `timing.sweepMs`. */
export function sweep(sim: Simulation): void {
  const now = Date.now();
  for (const job of sim.state.active) sweepActive(sim, job, now);
  for (const job of sim.state.queue) {
    // The queue is not sorted by time: jobs that were queued again come last.
    if (now - job.queuedAt <= sim.timing.queueMs) continue;
    job.annotations.push({ level: 'failure', message: 'The job was queued for too long without a runner.' });
    finishJob(sim, job, 'failure', 'not assigned to a runner in time');
  }
  for (const runner of sim.state.runners.values()) sweepRunner(sim, runner, now);
}

function sweepActive(sim: Simulation, job: Job, now: number): void {
  if (job.startedAt === null) {
    if (now - job.assignedAt > sim.timing.pickupMs) requeue(sim, job, `${job.assignedTo?.name ?? ''} didn't start it`);
    return;
  }
  if (job.cancelRequestedAt !== null && now - job.cancelRequestedAt > sim.timing.cancelMs) {
    finishJob(sim, job, 'cancelled', 'its runner did not confirm the cancellation');
    return;
  }
  if (job.assignedTo && now - job.assignedTo.lastSeen > sim.timing.lostMs) loseJob(sim, job);
}

function sweepRunner(sim: Simulation, runner: Runner, now: number): void {
  if (runner.online && now - runner.lastSeen > sim.timing.offlineAfterMs)
    goOffline(sim, runner, 'it was not heard of for too long');
  const { registrationMs, idleRegistrationMs } = sim.timing;
  const unseenMs = now - Math.max(runner.registeredAt, runner.lastSeen);
  if (!runner.online && unseenMs > (runner.ephemeral ? registrationMs : idleRegistrationMs)) {
    removeRunner(sim, runner, 'expired');
  }
}
