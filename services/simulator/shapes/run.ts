import type { Job, Run } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { toIsoSeconds, toNodeId, PUSHER, toSimpleUser, type Schemas } from './account.ts';
import { toMinimalRepository } from './repository.ts';

/** The jobs of one attempt, in the order they were created. */
export const listJobs = (run: Run, attempt = run.attempt): Job[] => run.jobs.filter((job) => job.attempt === attempt);

/** The state of a run, which follows from its jobs. */
export function getRunState(run: Run, attempt = run.attempt): { status: string; conclusion: string | null } {
  const jobs = listJobs(run, attempt);
  if (run.isOver && attempt === run.attempt) return { status: 'completed', conclusion: 'cancelled' };
  if (attempt < run.attempt || (run.pending.length === 0 && jobs.every((job) => job.status === 'completed'))) {
    const ends = new Set(jobs.map((job) => job.conclusion));
    const worst = (['failure', 'cancelled', 'success'] as const).find((end) => ends.has(end)) ?? 'skipped';
    return { status: 'completed', conclusion: run.cancelled && attempt === run.attempt ? 'cancelled' : worst };
  }
  if (jobs.some((job) => job.status === 'in_progress' || job.status === 'completed')) {
    return { status: 'in_progress', conclusion: null };
  }
  return { status: jobs.some((job) => job.status === 'waiting') ? 'waiting' : 'queued', conclusion: null };
}

export function toRunShape(sim: Simulation, run: Run, attempt = run.attempt): Schemas['workflow-run'] {
  const fullName = `${run.repository.owner.login}/${run.repository.name}`;
  const repository = toMinimalRepository(sim.urls, run.repository);
  const url = `${sim.urls.api}/repos/${fullName}/actions/runs/${run.id}`;
  const actor = toSimpleUser(sim.urls, PUSHER, 'User');
  const person = { name: 'The Octocat', email: 'octocat@example.com' };
  return {
    id: run.id,
    name: run.workflow,
    node_id: toNodeId('WFR', run.id),
    head_branch: run.branch,
    head_sha: run.sha,
    path: run.path,
    display_title: `Push to ${run.branch}`,
    run_number: run.number,
    event: 'push',
    ...getRunState(run, attempt),
    workflow_id: run.workflowId,
    check_suite_id: run.id + 1,
    check_suite_node_id: toNodeId('CS', run.id + 1),
    url,
    html_url: `${sim.urls.web}/${fullName}/actions/runs/${run.id}`,
    pull_requests: [],
    created_at: toIsoSeconds(run.createdAt),
    updated_at: toIsoSeconds(run.updatedAt),
    actor,
    triggering_actor: actor,
    run_attempt: attempt,
    referenced_workflows: [],
    run_started_at: toIsoSeconds(run.createdAt),
    jobs_url: `${url}/jobs`,
    logs_url: `${url}/logs`,
    check_suite_url: `${sim.urls.api}/repos/${fullName}/check-suites/${run.id + 1}`,
    artifacts_url: `${url}/artifacts`,
    cancel_url: `${url}/cancel`,
    rerun_url: `${url}/rerun`,
    previous_attempt_url: attempt > 1 ? `${url}/attempts/${attempt - 1}` : null,
    workflow_url: `${sim.urls.api}/repos/${fullName}/actions/workflows/${run.workflowId}`,
    head_commit: {
      id: run.sha,
      tree_id: run.sha,
      message: `Push to ${run.branch}`,
      timestamp: toIsoSeconds(run.createdAt),
      author: person,
      committer: person,
    },
    repository,
    head_repository: repository,
  };
}
