import type { Job, Run } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { formatScope } from '../jobs/runners.ts';
import { listJobs, getRunState } from '../shapes/run.ts';
import { getJobPage } from '../webhooks/announce.ts';

/** A job as the control API shows it: as on GitHub, with its timeline, steps and annotations, and optionally its log. */
export function toJobView(sim: Simulation, job: Job, withLog = false) {
  return {
    id: job.id,
    runId: job.run.id,
    attempt: job.attempt,
    repository: `${job.run.repository.owner.login}/${job.run.repository.name}`,
    workflow: job.run.workflow,
    key: job.spec.key,
    name: job.spec.name,
    labels: job.spec.labels,
    status: job.status,
    conclusion: job.conclusion,
    runner: job.runner?.name ?? null,
    assignedTo: job.assignedTo?.name ?? null,
    url: getJobPage(sim, job),
    createdAt: toIsoTime(job.createdAt),
    startedAt: toIsoTime(job.startedAt),
    completedAt: toIsoTime(job.completedAt),
    timeline: job.timeline,
    annotations: job.annotations,
    summary: job.summary,
    steps: job.steps.map(({ log, ...step }) => (withLog ? { ...step, log } : step)),
  };
}

export function toRunView(sim: Simulation, run: Run) {
  return {
    id: run.id,
    number: run.number,
    repository: `${run.repository.owner.login}/${run.repository.name}`,
    workflow: run.workflow,
    attempt: run.attempt,
    ...getRunState(run),
    /** Jobs that don't exist yet, because they need others. */
    pending: run.pending.map((spec) => spec.name),
    jobs: listJobs(run).map((job) => toJobView(sim, job)),
  };
}

/** The whole state, with the newest `limit` runs. */
export function toStateView(sim: Simulation, limit: number) {
  const jobs = [...sim.state.jobs.values()];
  const count = (status: Job['status']): number => jobs.filter((job) => job.status === status).length;
  return {
    at: new Date().toISOString(),
    counts: {
      waiting: count('waiting'),
      queued: count('queued'),
      inProgress: count('in_progress'),
      completed: count('completed'),
      runners: sim.state.runners.size,
    },
    limits: sim.limiter.view(),
    webhooks: { ...sim.webhooks.counts, deliveries: sim.state.deliveries.size },
    runners: [...sim.state.runners.values()].slice(-limit).map((runner) => ({
      id: runner.id,
      name: runner.name,
      scope: formatScope(runner.scope),
      group: runner.group.name,
      labels: runner.labels,
      online: runner.online,
      everOnline: runner.everOnline,
      busy: runner.job !== null && runner.job.startedAt !== null,
      jobId: runner.job?.id ?? null,
    })),
    runs: [...sim.state.runs.values()]
      .slice(-limit)
      .toReversed()
      .map((run) => toRunView(sim, run)),
  };
}

function toIsoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
