import { createHash } from 'node:crypto';
import type { Job, Repository, Run } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { parseWorkflow, type JobSpec } from '../workflow-file.ts';
import { listJobs } from '../shapes/run.ts';
import { PUSHER } from '../shapes/account.ts';
import { announceJob } from '../webhooks/announce.ts';
import { advanceRun, createJob } from './advance.ts';

export interface Push {
  /** The workflow file's text. */
  workflow: string;
  path?: string | undefined;
  branch?: string | undefined;
  /** The result of the initialisation of jobs, by key. */
  initialisation?: Record<string, JobSpec['initialisation']> | undefined;
}

/** Pushes one workflow file to a repository, which starts a run. @throws Error when the file is invalid */
export function push(sim: Simulation, repository: Repository, order: Push): Run {
  const path = order.path ?? '.github/workflows/ci.yml';
  const { name, jobs } = parseWorkflow(order.workflow, path);
  const specs = jobs.map((spec) => ({ ...spec, initialisation: order.initialisation?.[spec.key] ?? 'ok' }));
  return createRun(sim, repository, { workflow: name, path, branch: order.branch ?? 'main', specs });
}

export function createRun(
  sim: Simulation,
  repository: Repository,
  order: { workflow: string; path: string; branch: string; specs: JobSpec[] },
): Run {
  const earlier = [...sim.state.runs.values()].filter(
    (run) => run.repository === repository && run.path === order.path,
  );
  const id = sim.nextId('run');
  const now = Date.now();
  const run: Run = {
    id,
    repository,
    number: earlier.length + 1,
    workflowId: earlier[0]?.workflowId ?? sim.nextId('workflow'),
    workflow: order.workflow,
    path: order.path,
    sha: createHash('sha1').update(`${id}`).digest('hex'),
    branch: order.branch,
    actor: PUSHER.login,
    attempt: 1,
    createdAt: now,
    updatedAt: now,
    pending: [...order.specs],
    jobs: [],
    cancelled: false,
    isOver: false,
  };
  sim.state.runs.set(id, run);
  advanceRun(sim, run);
  return run;
}

/**
 * Repeats jobs of a finished attempt, and those that need them, as a new attempt. The other jobs are copied with their
 * results; as on GitHub, every job of the new attempt has a new id.
 */
export function rerun(sim: Simulation, run: Run, which: (job: Job) => boolean): void {
  const before = listJobs(run);
  const repeated = new Set(before.filter(which).map((job) => job.spec));
  for (let grew = true; grew;) {
    const keys = new Set([...repeated].map((spec) => spec.key));
    const dependent = before.filter(({ spec }) => !repeated.has(spec) && spec.needs.some((need) => keys.has(need)));
    for (const job of dependent) repeated.add(job.spec);
    grew = dependent.length > 0;
  }
  run.attempt++;
  run.cancelled = false;
  run.isOver = false;
  run.pending = [...repeated];
  for (const old of before) {
    if (repeated.has(old.spec)) continue;
    const { conclusion, startedAt, completedAt, runner, steps, annotations, summary } = old;
    const copy = createJob(sim, run, old.spec);
    Object.assign(copy, {
      conclusion,
      startedAt,
      completedAt,
      runner,
      steps,
      annotations,
      summary,
      status: 'completed',
    });
    copy.timeline.push({ at: new Date().toISOString(), what: 'taken over', detail: `from attempt ${old.attempt}` });
    if (sim.webhooks.faults.rates.resendCompletedOnRerun) announceJob(sim, copy, 'completed');
  }
  advanceRun(sim, run);
}
