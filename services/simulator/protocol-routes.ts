import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { encodeJitConfig } from './api/runner-routes.ts';
import { requestAssignment } from './jobs/assign.ts';
import { finishJob, startJob } from './jobs/finish.ts';
import { formatScope, goOffline, goOnline, registerRunner, removeRunner, listRunners } from './jobs/runners.ts';
import { completion, stepReport, type JobMessage } from './protocol.ts';
import { PUSHER, toSimpleUser } from './shapes/account.ts';
import { toRepositoryShape } from './shapes/repository.ts';
import type { Job, Runner } from './state.ts';
import type { Simulation } from './simulation.ts';

interface Path {
  Params: { id: string; job?: string };
}

class RequestRefused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const closeQuery = z.object({ why: z.string().max(200).default('it does not say why') });
const waitQuery = z.object({ wait: z.coerce.number().int().min(0).max(60_000).default(25_000) });
const registerOrder = z.object({
  token: z.string(),
  name: z.string().min(1).max(64),
  labels: z.array(z.string().min(1)).max(100),
  ephemeral: z.boolean().default(false),
  replace: z.boolean().default(false),
});

/** Routes for the fake runner: see {@link file://./protocol.ts}. */
export async function addRunnerProtocolRoutes(root: FastifyInstance, sim: Simulation): Promise<void> {
  await root.register(
    async (http) => {
      http.setErrorHandler<Error>((error, _request, reply) =>
        reply.code(error instanceof RequestRefused ? error.status : 400).send({ error: error.message }),
      );

      http.post('/register', (request) => {
        const order = registerOrder.parse(request.body);
        const ticket = sim.state.registrationTokens.get(order.token);
        if (!ticket || ticket.expiresAt < Date.now())
          throw new RequestRefused(401, 'the registration token is not valid');
        const group = ticket.scope.account.groups.get(1);
        const taken = listRunners(sim, ticket.scope).find(
          (runner) => runner.name.toLowerCase() === order.name.toLowerCase(),
        );
        if (taken && order.replace) removeRunner(sim, taken, 'api');
        if (!group || (taken && !order.replace)) throw new RequestRefused(409, `runner ${order.name} exists already`);
        sim.limiter.register(null, formatScope(ticket.scope));
        const labels = ['self-hosted', 'Linux', 'X64', ...order.labels];
        const runner = registerRunner(sim, { ...order, labels, scope: ticket.scope, group });
        return { jitConfig: encodeJitConfig(runner, '_work', sim.urls.runner) };
      });

      http.post<Path>('/:id/session', (request) => {
        const runner = authenticateRunner(sim, request);
        if (runner.online) throw new RequestRefused(409, `A session for ${runner.name} already exists.`);
        runner.lastSeen = Date.now();
        goOnline(sim, runner);
        const { pollMs, outliveMs } = sim.timing;
        return { pollMs, outliveMs, ephemeral: runner.ephemeral };
      });

      http.delete<Path>('/:id/session', (request, reply) => {
        const { why } = closeQuery.parse(request.query);
        goOffline(sim, authenticateRunner(sim, request), why);
        return reply.code(204).send();
      });

      http.get<Path>('/:id/message', (request, reply) => answerMessage(sim, request, reply));

      addRunnerJobRoutes(http, sim);
    },
    { prefix: '/_runner' },
  );
}

function addRunnerJobRoutes(http: FastifyInstance, sim: Simulation): void {
  http.post<Path>('/:id/jobs/:job/acquire', (request) => {
    const { runner, job } = findJob(sim, request);
    if (job.startedAt !== null) throw new RequestRefused(409, `job ${job.id} has started already`);
    startJob(sim, job, runner);
    return createJobMessage(sim, job);
  });

  http.get<Path>('/:id/jobs/:job/cancellation', (request) => answerCancellation(sim, request));

  http.post<Path>('/:id/jobs/:job/steps', (request, reply) => {
    const { job } = findJob(sim, request);
    const { lines, ...report } = stepReport.parse(request.body);
    const known = job.steps.find((step) => step.number === report.number);
    if (known) {
      Object.assign(known, report);
      known.log.push(...lines);
    } else {
      job.steps.push({ ...report, log: lines });
      job.steps.sort((a, b) => a.number - b.number);
    }
    return reply.code(204).send();
  });

  http.post<Path>('/:id/jobs/:job/complete', (request, reply) => {
    const { job } = findJob(sim, request);
    const { conclusion, annotations, summary } = completion.parse(request.body);
    job.annotations.push(...annotations);
    job.summary = summary;
    finishJob(sim, job, conclusion);
    // A runner that isn't ephemeral takes its next job now.
    requestAssignment(sim);
    return reply.code(204).send();
  });
}

/** The runner that makes this request, by its secret; records that it was seen. @throws RequestRefused 401 */
function authenticateRunner(sim: Simulation, request: FastifyRequest<Path>): Runner {
  const runner = sim.state.runners.get(Number(request.params.id));
  const given = Buffer.from((request.headers.authorization ?? '').replace(/^Bearer /, ''));
  const secret = Buffer.from(runner?.secret ?? '');
  if (!runner || given.length !== secret.length || !timingSafeEqual(given, secret)) {
    throw new RequestRefused(401, 'The runner registration has been deleted from the server, please re-configure.');
  }
  if (runner.lastSeen !== Infinity) runner.lastSeen = Date.now();
  return runner;
}

/** The job in the path, and its runner. @throws RequestRefused 409 when the job isn't assigned to it (any more) */
function findJob(sim: Simulation, request: FastifyRequest<Path>): { runner: Runner; job: Job } {
  const runner = authenticateRunner(sim, request);
  const job = runner.job;
  if (!job || job.id !== Number(request.params.job))
    throw new RequestRefused(409, 'this job is not assigned to this runner');
  return { runner, job };
}

async function answerMessage(sim: Simulation, request: FastifyRequest<Path>, reply: FastifyReply): Promise<unknown> {
  const runner = authenticateRunner(sim, request);
  if (!runner.online) goOnline(sim, runner);
  const job = runner.job ?? (await waitForJob(sim, runner, request));
  return job ? { jobId: job.id } : reply.code(204).send();
}

async function answerCancellation(sim: Simulation, request: FastifyRequest<Path>): Promise<{ cancelled: boolean }> {
  const { runner, job } = findJob(sim, request);
  if (job.cancelRequestedAt === null) {
    await holdRequest(request, runner, sim.timing.pollMs, (answer) => {
      job.answerCancellation = answer;
    });
    job.answerCancellation = null;
  }
  return { cancelled: job.cancelRequestedAt !== null };
}

async function waitForJob(sim: Simulation, runner: Runner, request: FastifyRequest<Path>): Promise<Job | null> {
  const { wait } = waitQuery.parse(request.query);
  let found: Job | null = null;
  await holdRequest(request, runner, Math.min(wait, sim.timing.pollMs), (answer) => {
    runner.answerPoll?.(null);
    runner.answerPoll = (job) => {
      found = job;
      runner.answerPoll = null;
      answer();
    };
    requestAssignment(sim);
  });
  if (found === null) runner.answerPoll = null;
  return found;
}

/**
 * Holds a request open until it is answered, the time has passed or its connection ends. Meanwhile the runner counts as seen.
 */
async function holdRequest(
  request: FastifyRequest,
  runner: Runner,
  ms: number,
  begin: (answer: () => void) => void,
): Promise<void> {
  const { socket } = request.raw;
  runner.lastSeen = Infinity;
  await new Promise<void>((resolve) => {
    const answer = (): void => {
      clearTimeout(timer);
      socket.off('close', answer);
      resolve();
    };
    const timer = setTimeout(answer, ms);
    socket.once('close', answer);
    begin(answer);
  });
  runner.lastSeen = Date.now();
}

function createJobMessage(sim: Simulation, job: Job): JobMessage {
  const { run, spec } = job;
  const { repository } = run;
  const sender = toSimpleUser(sim.urls, PUSHER, 'User');
  const pusher = { name: PUSHER.login, email: 'octocat@example.com' };
  return {
    jobId: job.id,
    key: spec.key,
    name: spec.name,
    initialisation: spec.initialisation,
    env: spec.env,
    matrix: spec.matrix,
    steps: spec.steps,
    timeoutMinutes: spec.timeoutMinutes,
    cancelGraceMs: sim.timing.cancelGraceMs,
    github: {
      run_id: run.id,
      run_number: run.number,
      run_attempt: job.attempt,
      workflow: run.workflow,
      workflow_path: run.path,
      repository: `${repository.owner.login}/${repository.name}`,
      repository_id: repository.id,
      repository_owner: repository.owner.login,
      repository_owner_id: repository.owner.id,
      sha: run.sha,
      ref: `refs/heads/${run.branch}`,
      ref_name: run.branch,
      actor: run.actor,
      actor_id: PUSHER.id,
      event_name: 'push',
      server_url: sim.urls.runner,
      api_url: `${sim.urls.runner}/api/v3`,
    },
    event: {
      ref: `refs/heads/${run.branch}`,
      before: '0'.repeat(40),
      after: run.sha,
      created: false,
      deleted: false,
      forced: false,
      repository: toRepositoryShape(sim.urls, repository),
      pusher,
      sender,
      head_commit: { id: run.sha, message: `Push to ${run.branch}`, author: pusher },
      commits: [],
    },
  };
}
