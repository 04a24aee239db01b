import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import { BatonError } from '../../contracts/errors.ts';
import type { JobEvent } from '../../contracts/messages/job-event.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { toDeliveryTraceparent, toDeliverySpan } from '../shared/tracing/job-spans.ts';
import { parseTraceparent, type Traces } from '../shared/tracing/span.ts';
import type { BodyQuota } from './body-quota.ts';
import { BodyReader } from './body-reader.ts';
import { toHttpError } from './http-error.ts';
import type { RefusalLog } from './refusal-log.ts';
import { registerWebhookMetrics } from './metrics.ts';
import type { WebhookPublisher } from './webhook-publisher.ts';
import type { SignatureCheck } from './signature.ts';
import { toJobEvent } from './workflow-job.ts';

/** GitHub sends at most 25 MB. */
const MAX_BODY_BYTES = 25 * 1024 ** 2;

const DELIVERY = /^[\w.:-]{1,100}$/;
const EVENT = /^[a-z_]{1,60}$/;
const SIGNATURE = /^sha256=[0-9a-f]{64}$/;

export interface WebhookRouteOptions {
  forge: string;
  check: SignatureCheck;
  publisher: WebhookPublisher;
  quota: BodyQuota;
  refusals: RefusalLog;
  log: Logger;
  metrics: Registry;
  traces: Traces | undefined;
}

/** What the headers of a webhook say. Nothing of it is verified. */
interface WebhookHeaders {
  event: string;
  delivery: string;
  signature: string;
}

/** Labels of the webhook counter. They stay empty until the signature is verified. */
interface WebhookLabels {
  event: string;
  action: string;
  result: string;
}

/**
 * `POST /webhooks/github`: 202 when JetStream has stored the job event, or when the event is ignored; otherwise 400,
 * 401, 413, 415, 429 or 503 with the error as JSON. Checks the headers before it reads the body, and verifies the body's raw bytes
 * before it parses them.
 */
export async function addWebhookRoute(scope: FastifyInstance, options: WebhookRouteOptions): Promise<void> {
  const { check, publisher, quota, refusals, log, metrics, traces } = options;
  const { webhooks, ackSeconds, bytes } = registerWebhookMetrics(metrics, publisher);
  const labels = new WeakMap<FastifyRequest, WebhookLabels>();
  const announced = new WeakMap<FastifyRequest, WebhookHeaders>();
  const bodies = new BodyReader(quota, MAX_BODY_BYTES);

  bodies.addTo(scope);
  scope.setErrorHandler(sendError);
  scope.post('/webhooks/github', { onRequest: checkHeaders }, (request, reply) => receiveWebhook(request, reply));

  async function checkHeaders(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    bodies.checkLength(request, reply);
    announced.set(request, readHeaders(request));
  }

  function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { status, headers, body, unexpected } = toHttpError(error);
    const { event, action } = labels.get(request) ?? { event: '', action: '' };
    webhooks.inc({ event, action, result: body.code });
    refusals.record(request, { status, body });
    const fields = { code: body.code, status, delivery: request.headers['x-github-delivery'] };
    if (unexpected) log.error({ ...fields, err: error }, body.message);
    else if (status > 499) log.warn(fields, body.message);
    // What is left of a large body isn't read; of a small one it is, as the sender reads the answer only then.
    if (!request.raw.complete && !bodies.isSmall(request)) reply.header('connection', 'close');
    return reply.code(status).headers(headers).send(body);
  }

  async function receiveWebhook(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const began = performance.now();
    const headers = announced.get(request) ?? readHeaders(request);
    const { event, delivery } = headers;
    const count: WebhookLabels = { event, action: '', result: 'ignored' };
    const job = await readJob(request, headers, count);
    if (job === undefined) {
      if (event === 'ping') count.result = 'pong';
      webhooks.inc({ ...count });
      return reply.code(202).send({ delivery, event, result: count.result });
    }
    count.action = job.action;
    const given = request.headers['traceparent'];
    const cause = typeof given === 'string' && parseTraceparent(given) ? given : undefined;
    const from = Date.now();
    const { duplicate } = await publisher.publish(job, traces ? toDeliveryTraceparent(job) : cause);
    traces?.record(toDeliverySpan(job, { from, until: Date.now() }, cause));
    ackSeconds.observe((performance.now() - began) / 1000);
    webhooks.inc({ ...count, result: duplicate ? 'duplicate' : 'accepted' });
    log.debug({ delivery, job: job.job.id, repository: job.repository.fullName, duplicate }, 'webhook accepted');
    return reply.code(202).send({ delivery, duplicate });
  }

  /** The job of a verified webhook; undefined for other events. Nothing keeps the body: the answer may wait for NATS. */
  async function readJob(
    request: FastifyRequest,
    { event, delivery, signature }: WebhookHeaders,
    count: WebhookLabels,
  ): Promise<JobEvent | undefined> {
    const { body } = request;
    if (!Buffer.isBuffer(body)) {
      throw new BatonError('WEBHOOK_MEDIA_TYPE', 'reading a webhook: no body of type application/json');
    }
    bytes.inc(body.length);
    const text = await verifyBody(body, signature, check);
    labels.set(request, count);
    request.body = undefined;
    bodies.release(request);
    const payload = parseJson(text);
    return event === 'workflow_job'
      ? toJobEvent(payload, { forge: options.forge, delivery, at: new Date() })
      : undefined;
  }
}

/** @throws BatonError WEBHOOK_INVALID, WEBHOOK_SIGNATURE */
function readHeaders(request: FastifyRequest): WebhookHeaders {
  const event = readHeader(request, 'x-github-event', EVENT);
  const delivery = readHeader(request, 'x-github-delivery', DELIVERY);
  const signature = request.headers['x-hub-signature-256'];
  if (typeof signature === 'string' && SIGNATURE.test(signature)) return { event, delivery, signature };
  const what =
    signature === undefined
      ? 'is missing, so the webhook on the forge has no secret'
      : 'is not sha256= and 64 hexadecimal digits';
  throw new BatonError('WEBHOOK_SIGNATURE', `verifying a webhook: header x-hub-signature-256 ${what}`);
}

function readHeader(request: FastifyRequest, name: string, pattern: RegExp): string {
  const value = request.headers[name];
  if (typeof value === 'string' && pattern.test(value)) return value;
  const what = value === undefined ? 'is missing' : `is not of the form ${pattern.source}`;
  throw new BatonError('WEBHOOK_INVALID', `reading a webhook: header ${name} ${what}`, {
    details: { fields: [{ path: name, message: what }] },
  });
}

async function verifyBody(body: Buffer, signature: string, check: SignatureCheck): Promise<string> {
  // Decoding invalid UTF-8 would change the bytes that are verified; JSON is always UTF-8.
  if (!isUtf8(body)) throw new BatonError('WEBHOOK_INVALID', 'reading a webhook: the body is not UTF-8');
  const text = body.toString('utf8');
  const result = await check(text, signature);
  if (result.valid) return text;
  throw new BatonError('WEBHOOK_SIGNATURE', `verifying a webhook: ${result.reason}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BatonError('WEBHOOK_INVALID', 'reading a webhook: the body is not JSON', { cause: error });
  }
}
