import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { ApiFaults } from '../api/faults.ts';
import { enqueue } from '../jobs/advance.ts';
import { abandonJob } from '../jobs/abandon.ts';
import { cancelJob, cancelRun, finishJob, startJob } from '../jobs/finish.ts';
import { createRun, push, rerun } from '../jobs/run.ts';
import { limits, timing } from '../settings.ts';
import { toRepositoryKey, type Job, type Repository, type Run } from '../state.ts';
import type { Simulation } from '../simulation.ts';
import { addRepository } from '../world.ts';
import { sendPing } from '../webhooks/announce.ts';
import { addFaultControls } from './fault-controls.ts';
import { addForgeControls } from './forge-controls.ts';
import { NotFoundError } from './not-found.ts';
import { toJobView, toRunView, toStateView } from './state-view.ts';

const pushOrder = z.strictObject({
  workflow: z.string().min(1),
  path: z.string().min(1).optional(),
  branch: z.string().min(1).optional(),
  initialisation: z.record(z.string(), z.enum(['ok', 'fail', 'cancel'])).optional(),
});
const jobsOrder = z.strictObject({
  count: z.number().int().min(1).max(100_000).default(1),
  labels: z.array(z.string().min(1)).min(1),
  repository: z
    .string()
    .regex(/^[^/]+\/[^/]+$/)
    .optional(),
  name: z.string().default('job'),
  run: z.string().default('true'),
  environment: z.string().nullable().default(null),
});
const settingsOrder = z.strictObject({
  timing: timing.partial().optional(),
  limits: limits.partial().optional(),
  publicUrl: z.url().optional(),
  webhookUrl: z.url().optional(),
  protectedEnvironments: z.array(z.string()).optional(),
});
const startOrder = z.strictObject({ runnerName: z.string().min(1) });
const completeOrder = z.strictObject({
  conclusion: z.enum(['success', 'failure', 'cancelled', 'skipped']).default('success'),
  runnerName: z.string().min(1).optional(),
});
const abandonOrder = z.strictObject({
  ageMs: z.number().int().nonnegative().default(0),
  runIsOver: z.boolean().default(false),
});
const logQuery = z.object({ since: z.coerce.number().int().min(0).default(0), type: z.string().optional() });
const limitQuery = z.object({ limit: z.coerce.number().int().positive().default(100) });

/** Routes of the control API, `/_sim`, which needs no authentication. */
export async function addControlRoutes(root: FastifyInstance, sim: Simulation, apiFaults: ApiFaults): Promise<void> {
  await root.register(
    async (http) => {
      http.setErrorHandler<Error>((error, _request, reply) =>
        reply.code(error instanceof NotFoundError ? 404 : 400).send({ error: error.message }),
      );

      http.get('/state', (request) => toStateView(sim, limitQuery.parse(request.query).limit));
      http.get('/log', (request) => {
        const { since, type } = logQuery.parse(request.query);
        return { events: sim.log.since(since).filter((event) => type === undefined || event.type === type) };
      });

      http.put('/settings', (request) => applySettings(sim, settingsOrder.parse(request.body)));
      http.post('/limits/reset', () => {
        sim.limiter.reset();
        return sim.limiter.view();
      });
      addFaultControls(http, sim, apiFaults);
      http.post('/ping', () => {
        for (const hook of sim.state.hooks.values()) sendPing(sim, hook);
        return { sent: sim.state.hooks.size };
      });

      http.post<{ Params: { owner: string; repo: string } }>('/repos/:owner/:repo/push', (request, reply) => {
        const repository = findOrAddRepository(sim, `${request.params.owner}/${request.params.repo}`, true);
        return reply.code(201).send(toRunView(sim, push(sim, repository, pushOrder.parse(request.body))));
      });
      addForgeControls(http, sim);
      addRunControls(http, sim);
      addJobControls(http, sim);
    },
    { prefix: '/_sim' },
  );
}

function addRunControls(http: FastifyInstance, sim: Simulation): void {
  http.get<{ Params: { id: string } }>('/runs/:id', (request) => toRunView(sim, findRun(sim, request.params.id)));
  http.post<{ Params: { id: string } }>('/runs/:id/cancel', (request) => ({
    cancelled: cancelRun(sim, findRun(sim, request.params.id)),
  }));
  http.post<{ Params: { id: string } }>('/runs/:id/rerun', (request) => {
    const run = findRun(sim, request.params.id);
    rerun(sim, run, () => true);
    return toRunView(sim, run);
  });
}

function addJobControls(http: FastifyInstance, sim: Simulation): void {
  http.get('/jobs', () => ({ jobs: [...sim.state.jobs.values()].map((job) => toJobView(sim, job)) }));
  http.post('/jobs', (request, reply) =>
    reply.code(201).send({ jobIds: createPlainJobs(sim, jobsOrder.parse(request.body)) }),
  );
  http.get<{ Params: { id: string } }>('/jobs/:id', (request) => toJobView(sim, findJob(sim, request.params.id), true));
  http.post<{ Params: { id: string } }>('/jobs/:id/start', (request) => {
    const job = findJob(sim, request.params.id);
    if (job.status !== 'queued' || job.assignedTo) throw new Error(`job ${job.id} is ${job.status}, not queued`);
    startJob(sim, job, createUnregisteredRunner(startOrder.parse(request.body).runnerName));
    return toJobView(sim, job);
  });
  http.post<{ Params: { id: string } }>('/jobs/:id/complete', (request) => {
    const job = findJob(sim, request.params.id);
    const order = completeOrder.parse(request.body ?? {});
    if (order.runnerName !== undefined) job.runner = createUnregisteredRunner(order.runnerName);
    finishJob(sim, job, order.conclusion);
    return toJobView(sim, job);
  });
  http.post<{ Params: { id: string } }>('/jobs/:id/cancel', (request) => ({
    cancelled: cancelJob(sim, findJob(sim, request.params.id)),
  }));
  http.post<{ Params: { id: string } }>('/jobs/:id/abandon', (request) => {
    const job = findJob(sim, request.params.id);
    abandonJob(sim, job, abandonOrder.parse(request.body ?? {}));
    return toJobView(sim, job);
  });
  http.post<{ Params: { id: string } }>('/jobs/:id/rerun', (request) => {
    const { run, spec } = findJob(sim, request.params.id);
    rerun(sim, run, (job) => job.spec === spec);
    return toRunView(sim, run);
  });
  http.post<{ Params: { id: string } }>('/jobs/:id/approve', (request) => {
    const job = findJob(sim, request.params.id);
    if (job.status !== 'waiting') throw new Error(`job ${job.id} is ${job.status}, not waiting for an approval`);
    enqueue(sim, job);
    return toJobView(sim, job);
  });
}

/** A runner without a registration, to drive a job without a runner program. */
const createUnregisteredRunner = (name: string) => ({ id: 9_000_000, name, groupId: 1, groupName: 'Default' });

function applySettings(sim: Simulation, order: z.infer<typeof settingsOrder>): object {
  Object.assign(sim.timing, order.timing);
  Object.assign(sim.limits, order.limits);
  if (order.publicUrl) sim.urls.runner = order.publicUrl;
  if (order.webhookUrl) for (const hook of sim.state.hooks.values()) hook.url = order.webhookUrl;
  if (order.protectedEnvironments) sim.protectedEnvironments = new Set(order.protectedEnvironments);
  return { timing: sim.timing, limits: sim.limits, publicUrl: sim.urls.runner };
}

function findOrAddRepository(sim: Simulation, fullName: string, make: boolean): Repository {
  const [owner = '', name = ''] = fullName.split('/');
  const known = sim.state.repositories.get(toRepositoryKey(owner, name));
  if (known) return known;
  if (!make) throw new NotFoundError(`repository ${fullName} does not exist`);
  return addRepository(sim, fullName);
}

function findJob(sim: Simulation, id: string): Job {
  const job = sim.state.jobs.get(Number(id));
  if (!job) throw new NotFoundError(`job ${id} does not exist`);
  return job;
}

function findRun(sim: Simulation, id: string): Run {
  const run = sim.state.runs.get(Number(id));
  if (!run) throw new NotFoundError(`run ${id} does not exist`);
  return run;
}

/** Creates many jobs of one step, each in a run of its own. @returns their ids */
function createPlainJobs(sim: Simulation, order: z.infer<typeof jobsOrder>): number[] {
  const [first] = sim.state.repositories.values();
  const repository = order.repository === undefined ? first : findOrAddRepository(sim, order.repository, true);
  if (!repository) throw new NotFoundError('the simulator has no repository');
  const step = {
    id: null,
    name: null,
    if: null,
    run: order.run,
    uses: null,
    shell: null,
    env: {},
    workingDirectory: null,
    continueOnError: false,
    timeoutMinutes: null,
  };
  const spec = {
    key: 'job',
    name: order.name,
    labels: order.labels,
    group: null,
    needs: [],
    if: null,
    environment: order.environment,
    matrix: {},
    failFast: true,
    env: {},
    steps: [step],
    timeoutMinutes: null,
    initialisation: 'ok' as const,
  };
  return Array.from({ length: order.count }, () => {
    const path = '.github/workflows/load.yml';
    const run = createRun(sim, repository, { workflow: 'Load', path, branch: 'main', specs: [{ ...spec }] });
    return run.jobs[0]?.id ?? 0;
  });
}
