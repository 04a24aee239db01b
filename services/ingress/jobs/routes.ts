import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import type { DelegationConfig } from '../../../contracts/config/delegation.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { TokenScope } from '../../../contracts/lib/proxy-token.ts';
import { jobContext, type DelegatedJob } from '../../../contracts/messages/delegation.ts';
import type { NatsLink } from '../../shared/nats-link.ts';
import { toHttpError } from '../http-error.ts';
import { acceptJsonOnly } from '../json-body.ts';
import { registerDelegationMetrics } from '../metrics.ts';
import type { RefusalLog } from '../refusal-log.ts';
import { ProxyRateLimit } from './proxy-rate-limit.ts';
import { assertSameProxy, createCallerCheck } from './caller.ts';
import { DelegationIntake } from './intake.ts';
import { buildOpenApiDocument } from './openapi.ts';
import { jobPath, jobsQuery, parseRequest } from './shapes.ts';

/** A job and its environment; the proxy's hook leaves out variables to stay below this size. */
const MAX_BODY_BYTES = 256 * 1024;
const MAX_JOBS_LISTED = 1000;
const RETRY_AFTER_S = 5;

export interface DelegationRoutesOptions {
  delegation: DelegationConfig;
  link: NatsLink;
  refusals: RefusalLog;
  log: Logger;
  metrics: Registry;
}

/**
 * `/api/jobs`: proxies delegate jobs and ask for their state. {@link buildOpenApiDocument} describes it, at
 * `/api/openapi.json`. Errors are `{code, message, help, details?}`. Tokens are neither logged nor stored.
 */
export async function addDelegationRoutes(scope: FastifyInstance, options: DelegationRoutesOptions): Promise<void> {
  const { delegation, link, refusals, log, metrics } = options;
  const intake = new DelegationIntake(link);
  const identifyCaller = createCallerCheck(delegation, new ProxyRateLimit(delegation.requests_per_minute));
  const { requests, ackSeconds } = registerDelegationMetrics(metrics);
  const document = buildOpenApiDocument();

  // The proxy is identified before the body is read.
  const callers = new WeakMap<FastifyRequest, string>();
  const identified = (tokenScope: TokenScope) => ({
    onRequest: async (request: FastifyRequest) => void callers.set(request, identifyCaller(request, tokenScope)),
  });
  const getProxy = (request: FastifyRequest): string => callers.get(request) ?? '';

  acceptJsonOnly(scope, MAX_BODY_BYTES);
  scope.setErrorHandler(sendError);
  scope.addHook('onResponse', countSuccess);
  scope.get('/api/openapi.json', () => document);
  scope.post('/api/jobs/delegate', identified('delegate'), (request, reply) => delegateJob(request, reply));
  scope.get('/api/jobs', identified('read'), (request, reply) => listJobs(request, reply));
  scope.get('/api/jobs/:id', identified('read'), (request, reply) => getJob(request, reply));
  scope.post('/api/jobs/:id/complete', identified('delegate'), (request, reply) => completeJob(request, reply));

  async function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { status, headers, body, unexpected } = toHttpError(toBatonError(error));
    requests.inc({ route: getRoute(request), result: body.code });
    refusals.record(request, { status, body });
    const fields = { code: body.code, status, method: request.method, route: getRoute(request) };
    if (unexpected) log.error({ ...fields, err: error }, body.message);
    else if (status > 499) log.warn(fields, body.message);
    return reply.code(status).headers(headers).send(body);
  }

  async function countSuccess(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (reply.statusCode < 400) requests.inc({ route: getRoute(request), result: 'ok' });
  }

  async function delegateJob(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const began = performance.now();
    const context = parseRequest(jobContext, parseJson(request.body), 'reading the job');
    assertSameProxy(getProxy(request), context.runnerName, 'delegating a job');
    const answer = await intake.accept(context);
    ackSeconds.observe((performance.now() - began) / 1000);
    const { repository, runId, jobId, runnerName } = context;
    log.info(
      { delegation: answer.id, repository, run: runId, job: jobId, runner: runnerName },
      'proxy delegated a job',
    );
    return reply.code(202).send(answer);
  }

  async function listJobs(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { status, repository } = parseRequest(jobsQuery, request.query, 'listing jobs');
    const jobs = (await (await intake.store()).list())
      .filter((job) => job.runnerName === getProxy(request))
      .filter((job) => status === undefined || job.status === status)
      .filter((job) => repository === undefined || job.repository.toLowerCase() === repository.toLowerCase())
      .sort((a, b) => b.requestedAt.localeCompare(a.requestedAt));
    return reply.send({ jobs: jobs.slice(0, MAX_JOBS_LISTED) });
  }

  async function getJob(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const job = await findOwnJob(request);
    const more = await (await intake.store()).extras(job.id);
    return reply.send({ ...job, ...(more ?? { environment: {}, matrix: null, needs: null }) });
  }

  async function completeJob(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { id, status, runnerName } = await findOwnJob(request);
    await intake.reportAttemptEnded(id, runnerName);
    return reply.code(202).send({ id, status });
  }

  async function findOwnJob(request: FastifyRequest): Promise<DelegatedJob> {
    const { id } = parseRequest(jobPath, request.params, 'finding a delegation');
    const job = await (await intake.store()).get(id);
    if (job === undefined)
      throw new BatonError('DELEGATION_UNKNOWN', `finding delegation ${id}: no delegation has this id`);
    assertSameProxy(getProxy(request), job.runnerName, `finding delegation ${id}`);
    return job;
  }
}

const FASTIFY_ERRORS = new Map([
  ['FST_ERR_CTP_BODY_TOO_LARGE', 'DELEGATION_TOO_LARGE'],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'WEBHOOK_MEDIA_TYPE'],
] as const);

/** Converts Fastify's own errors to ours, and adds `retryAfterS` when NATS is unavailable. */
function toBatonError(error: unknown): unknown {
  if (error instanceof BatonError && error.code === 'BUS_UNAVAILABLE' && !('retryAfterS' in error.details)) {
    return new BatonError(error.code, error.message, { cause: error, details: { retryAfterS: RETRY_AFTER_S } });
  }
  if (!(error instanceof Error) || error instanceof BatonError || !('code' in error)) return error;
  for (const [code, ours] of FASTIFY_ERRORS) {
    if (error.code === code) return new BatonError(ours, `reading the job: ${getErrorMessage(error)}`);
  }
  return error;
}

function parseJson(body: unknown): unknown {
  try {
    return JSON.parse(typeof body === 'string' ? body : '');
  } catch (error) {
    throw new BatonError('DELEGATION_INVALID', 'reading the job: the body is not JSON', {
      cause: error,
      details: { fields: [{ path: '(body)', message: 'expected JSON' }] },
    });
  }
}

function getRoute(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'none';
}
