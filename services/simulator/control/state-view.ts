import type { Job, Run } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { scopeName } from '../jobs/runners.ts';
import { jobsOf, runState } from '../shapes/run.ts';
import { jobPage } from '../webhooks/announce.ts';

/** A job for people and tests: GitHub's facts, its timeline, steps, annotations; log on demand. */
export function jobView(sim: Simulation, job: Job, withLog = false) {
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
    url: jobPage(sim, job),
    createdAt: iso(job.createdAt),
    startedAt: iso(job.startedAt),
    completedAt: iso(job.completedAt),
    timeline: job.timeline,
    annotations: job.annotations,
    summary: job.summary,
    steps: job.steps.map(({ log, ...step }) => (withLog ? { ...step, log } : step)),
  };
}

export function runView(sim: Simulation, run: Run) {
  return {
    id: run.id,
    number: run.number,
    repository: `${run.repository.owner.login}/${run.repository.name}`,
    workflow: run.workflow,
    attempt: run.attempt,
    ...runState(run),
    /** Jobs that aren't there yet: their needs aren't met. */
    pending: run.pending.map((spec) => spec.name),
    jobs: jobsOf(run).map((job) => jobView(sim, job)),
  };
}

/** Everything at a glance; the newest `limit` runs. */
export function stateView(sim: Simulation, limit: number) {
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
    webhooks: { ...sim.webhooks.counts, deliveries: sim.state.deliveries.size },
    runners: [...sim.state.runners.values()].slice(-limit).map((runner) => ({
      id: runner.id,
      name: runner.name,
      scope: scopeName(runner.scope),
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
      .map((run) => runView(sim, run)),
  };
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
