import { evaluateCondition } from '../expression.ts';
import type { Job, Run } from '../state.ts';
import type { Conclusion } from '../protocol.ts';
import type { JobSpec } from '../workflow-file.ts';
import { recordJob, type Simulation } from '../simulation.ts';
import { listJobs } from '../shapes/run.ts';
import { announceJob } from '../webhooks/announce.ts';
import { requestAssignment } from './assign.ts';

/** The runner of a job that ended before any runner had it: GitHub sends either null or this, with id 0. */
const NO_RUNNER = { id: 0, name: '', groupId: 0, groupName: '' };

export function createJob(sim: Simulation, run: Run, spec: JobSpec): Job {
  const now = Date.now();
  const job: Job = {
    id: sim.nextId('job'),
    run,
    attempt: run.attempt,
    spec,
    status: 'queued',
    conclusion: null,
    createdAt: now,
    queuedAt: now,
    startedAt: null,
    completedAt: null,
    runner: null,
    assignedTo: null,
    assignedAt: 0,
    cancelRequestedAt: null,
    answerCancellation: null,
    steps: [],
    annotations: [],
    summary: '',
    timeline: [],
  };
  run.jobs.push(job);
  sim.state.jobs.set(job.id, job);
  return job;
}

/** Queues a job and announces it. A job with an environment is announced before and after its approval. */
function beginJob(sim: Simulation, job: Job): void {
  const { environment } = job.spec;
  if (environment === null) return enqueue(sim, job);
  announceJob(sim, job, 'queued');
  if (!sim.protectedEnvironments.has(environment)) return enqueue(sim, job);
  job.status = 'waiting';
  recordJob(sim, job, 'waiting', { detail: `approval of ${environment}` });
  return announceJob(sim, job, 'waiting');
}

/** Queues a job for a runner, and announces it. */
export function enqueue(sim: Simulation, job: Job): void {
  job.status = 'queued';
  job.queuedAt = Date.now();
  sim.state.queue.add(job);
  recordJob(sim, job, 'queued');
  announceJob(sim, job, 'queued');
  requestAssignment(sim);
}

/** Ends a job; {@link finishJob} also does what follows from that. */
export function markCompleted(sim: Simulation, job: Job, conclusion: Conclusion, detail?: string): void {
  sim.state.queue.delete(job);
  sim.state.active.delete(job);
  if (job.startedAt === null && conclusion === 'cancelled' && sim.random.chance(0.5)) job.runner = NO_RUNNER;
  job.status = 'completed';
  job.conclusion = conclusion;
  job.completedAt = Date.now();
  recordJob(sim, job, 'completed', { runner: job.runner?.name, detail: detail ?? conclusion });
  announceJob(sim, job, 'completed');
}

/** Begins, or skips, the jobs of a run whose needs are met. */
export function advanceRun(sim: Simulation, run: Run): void {
  for (let grew = true; grew;) {
    const ready = run.pending.filter((spec) => spec.needs.every((need) => isCompleted(run, need)));
    run.pending = run.pending.filter((spec) => !ready.includes(spec));
    for (const spec of ready) {
      const job = createJob(sim, run, spec);
      if (shouldRun(run, spec)) beginJob(sim, job);
      else markCompleted(sim, job, 'skipped');
    }
    grew = ready.length > 0;
  }
}

function isCompleted(run: Run, key: string): boolean {
  if (run.pending.some((spec) => spec.key === key)) return false;
  return listJobs(run).every((job) => job.spec.key !== key || job.status === 'completed');
}

function shouldRun(run: Run, spec: JobSpec): boolean {
  const results = spec.needs.map((need) => [need, { result: findResult(run, need) }] as const);
  const ends = results.map(([, { result }]) => result);
  return evaluateCondition(spec.if ?? undefined, {
    contexts: {
      needs: Object.fromEntries(results),
      matrix: spec.matrix,
      github: { event_name: 'push', ref_name: run.branch, ref: `refs/heads/${run.branch}`, actor: run.actor },
    },
    functions: {
      always: () => true,
      success: () => !run.cancelled && ends.every((end) => end === 'success'),
      failure: () => ends.includes('failure'),
      cancelled: () => run.cancelled,
    },
  });
}

/** The combined result of all jobs of one key, as in `needs.<key>.result`. */
function findResult(run: Run, key: string): Conclusion {
  const ends = new Set(listJobs(run).flatMap((job) => (job.spec.key === key ? [job.conclusion] : [])));
  return (['failure', 'cancelled', 'success'] as const).find((end) => ends.has(end)) ?? 'skipped';
}
