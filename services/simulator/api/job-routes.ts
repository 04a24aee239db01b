import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { cancelRun } from '../jobs/finish.ts';
import { rerun } from '../jobs/run.ts';
import { toJobShape } from '../shapes/job.ts';
import { toFullRepository, toMinimalRepository } from '../shapes/repository.ts';
import { listJobs, toRunShape, getRunState } from '../shapes/run.ts';
import type { Job, Run } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { requirePermission } from './auth.ts';
import { ApiError, notFound } from './errors.ts';
import { parseNumber, paginate, findRepository, findScope, type Params, type Request } from './request.ts';

const repositoriesQuery = z.object({ type: z.enum(['all', 'public', 'private']).catch('all') });
const runsQuery = z.object({ status: z.string().optional(), branch: z.string().optional() });
const jobsQuery = z.object({ filter: z.enum(['latest', 'all']).catch('latest') });

/** Routes of repositories, their workflow runs and jobs. */
export function addJobRoutes(http: FastifyInstance, sim: Simulation): void {
  const actions = '/repos/:owner/:repo/actions';

  const repository = (request: Request) => {
    const found = findRepository(sim, request);
    requirePermission(request.actor, 'actions', request.method === 'GET' ? 'read' : 'write');
    return found;
  };
  const findRun = (request: Request): Run => {
    const owner = repository(request);
    const run = sim.state.runs.get(parseNumber(request.params.id));
    if (run?.repository !== owner) throw notFound();
    return run;
  };
  const findJob = (request: Request): Job => {
    const owner = repository(request);
    const job = sim.state.jobs.get(parseNumber(request.params.id));
    if (job?.run.repository !== owner) throw notFound();
    return job;
  };

  http.get<{ Params: Partial<Params> }>('/orgs/:org/repos', (request, reply) => {
    const { account } = findScope(sim, request, 'runners');
    const { type } = repositoriesQuery.parse(request.query);
    const theirs = [...sim.state.repositories.values()].filter(
      (one) => one.owner === account && (type === 'all' || one.private === (type === 'private')),
    );
    return paginate(request, reply, theirs).map((one) => toMinimalRepository(sim.urls, one));
  });

  http.get<{ Params: Partial<Params> }>('/repos/:owner/:repo', (request, reply) => {
    const repository = toFullRepository(sim.urls, findRepository(sim, request));
    reply.header('last-modified', new Date(repository.updated_at).toUTCString());
    return repository;
  });

  http.get<{ Params: Partial<Params> }>(`${actions}/runs`, (request, reply) => {
    const owner = repository(request);
    const { status, branch } = runsQuery.parse(request.query);
    const runs = [...sim.state.runs.values()].toReversed().filter((run) => {
      const state = getRunState(run);
      const fits = status === undefined || state.status === status || state.conclusion === status;
      return fits && run.repository === owner && (branch === undefined || run.branch === branch);
    });
    const page = paginate(request, reply, runs).map((run) => toRunShape(sim, run));
    return { total_count: runs.length, workflow_runs: page };
  });

  http.get<{ Params: Partial<Params> }>(`${actions}/runs/:id`, (request) => toRunShape(sim, findRun(request)));

  http.get<{ Params: Partial<Params> }>(`${actions}/runs/:id/attempts/:attempt`, (request) => {
    const run = findRun(request);
    return toRunShape(sim, run, findAttempt(request, run));
  });

  http.get<{ Params: Partial<Params> }>(`${actions}/runs/:id/jobs`, (request, reply) => {
    const run = findRun(request);
    const { filter } = jobsQuery.parse(request.query);
    const jobs = filter === 'all' ? run.jobs : listJobs(run);
    const page = paginate(request, reply, jobs).map((job) => toJobShape(sim.urls, job));
    return { total_count: jobs.length, jobs: page };
  });

  http.get<{ Params: Partial<Params> }>(`${actions}/runs/:id/attempts/:attempt/jobs`, (request, reply) => {
    const run = findRun(request);
    const jobs = listJobs(run, findAttempt(request, run));
    const page = paginate(request, reply, jobs).map((job) => toJobShape(sim.urls, job));
    return { total_count: jobs.length, jobs: page };
  });

  for (const path of ['cancel', 'force-cancel']) {
    http.post<{ Params: Partial<Params> }>(`${actions}/runs/:id/${path}`, (request, reply) => {
      if (!cancelRun(sim, findRun(request))) {
        throw new ApiError(409, 'Cannot cancel a workflow run that is completed.');
      }
      return reply.code(202).send({});
    });
  }

  http.post<{ Params: Partial<Params> }>(`${actions}/runs/:id/rerun`, (request, reply) => {
    const run = findRun(request);
    assertCompleted(run);
    rerun(sim, run, () => true);
    return reply.code(201).send({});
  });

  http.post<{ Params: Partial<Params> }>(`${actions}/runs/:id/rerun-failed-jobs`, (request, reply) => {
    const run = findRun(request);
    assertCompleted(run);
    if (getRunState(run).conclusion === 'success') {
      throw new ApiError(403, 'This workflow run cannot be retried: it has no failed jobs.');
    }
    rerun(sim, run, (job) => job.conclusion === 'failure' || job.conclusion === 'cancelled');
    return reply.code(201).send({});
  });

  http.get<{ Params: Partial<Params> }>(`${actions}/jobs/:id`, (request) => toJobShape(sim.urls, findJob(request)));

  http.post<{ Params: Partial<Params> }>(`${actions}/jobs/:id/rerun`, (request, reply) => {
    const job = findJob(request);
    assertCompleted(job.run, 'The workflow run containing this job is already running');
    rerun(sim, job.run, (other) => other.spec === job.spec);
    return reply.code(201).send({});
  });

  http.get<{ Params: Partial<Params> }>(`${actions}/jobs/:id/logs`, (request, reply) => {
    const job = findJob(request);
    if (job.status !== 'completed') throw notFound();
    return reply.code(302).header('location', `${request.protocol}://${request.host}/_logs/${job.id}`).send();
  });
}

function findAttempt(request: Request, run: Run): number {
  const attempt = parseNumber(request.params.attempt);
  if (attempt < 1 || attempt > run.attempt) throw notFound();
  return attempt;
}

function assertCompleted(run: Run, message = 'This workflow is already running'): void {
  if (getRunState(run).status !== 'completed') throw new ApiError(403, message);
}

/** A job's log as GitHub serves it: the lines of all its steps. */
export function formatJobLog(job: Job): string {
  return job.steps.flatMap((step) => step.log).join('\n');
}
