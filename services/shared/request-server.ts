import { Counter, type Registry } from 'prom-client';
import type { z } from 'zod';
import { decode, encode, type Bus, type Msg } from '../../contracts/lib/nats.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import { STORED_MESSAGE } from '../../contracts/messages/streams.ts';
import { parseValue } from '../../contracts/lib/parse-value.ts';
import type { Logger } from '../../contracts/lib/log.ts';

/** What a handler knows of a request besides its body. */
export interface RequestContext {
  subject: string;
  /** Fires when the service stops. */
  stop: AbortSignal;
}

/** The reply to a request that failed. */
export interface ErrorReply {
  ok: false;
  code: string;
  message: string;
}

/** One kind of request that a service answers over NATS. */
export interface RequestHandler<Body> {
  /** For the log: `cost query` is logged as "cost query failed". */
  name: string;
  /** May contain wildcards. */
  subject: string;
  /** Each request goes to one subscriber of the queue group. Without one, every process answers every request. */
  queueGroup?: string;
  /** Of the request's body as JSON; an empty body is undefined. */
  schema: z.ZodType<Body>;
  /** Answers one request after the other. Default: all at once. */
  sequential?: boolean;
  /** Whether requests that are being answered when the service stops are still answered. Default true. */
  finishOnStop?: boolean;
  /** @returns the reply */
  handle: (body: Body, context: RequestContext) => Promise<unknown>;
  /** Log fields that say who asks about what. */
  logFields?: (subject: string) => Record<string, unknown>;
  /** The reply after an error; undefined for none. Default: {@link toErrorReply}. */
  onError?: (error: unknown) => ErrorReply | undefined;
  /** Whether an error is part of the normal course: it is logged at debug only. Default: none is. */
  isExpected?: (error: unknown) => boolean;
  /** Called after each request, for metrics; `error` is undefined where it succeeded. */
  observe?: (result: { subject: string; error: unknown; seconds: number }) => void;
}

/** An error as a reply: a BatonError with its code, anything else as INTERNAL. */
export function toErrorReply(error: unknown): ErrorReply {
  return { ok: false, code: error instanceof BatonError ? error.code : 'INTERNAL', message: getErrorMessage(error) };
}

/** What answers requests. */
export interface RequestServer {
  bus: Bus;
  log: Logger;
  /** Counts requests that are no requests, see {@link createRefusedRequests}. */
  refused?: Counter<'request'> | undefined;
  stop?: AbortSignal;
}

/** Registers the counter of {@link RequestServer}. */
export function createRefusedRequests(registry: Registry): Counter<'request'> {
  return new Counter({
    registers: [registry],
    name: 'baton_requests_refused_total',
    help: 'Messages on the subject of a request that no client sent as one, by request: somebody directed an answer there.',
    labelNames: ['request'],
  });
}

/**
 * Answers one kind of request until `stop` fires or the connection closes; then finishes the requests it has already received.
 * An error of the handler, or a body that doesn't match its schema, is logged and answered with `{ok: false, code, message}`.
 */
export async function serveRequests<Body>(
  { bus, log, refused, stop = new AbortController().signal }: RequestServer,
  handler: RequestHandler<Body>,
): Promise<void> {
  const { subject, queueGroup, sequential = false, finishOnStop = true } = handler;
  const subscription = bus.subscribe(subject, queueGroup === undefined ? {} : { queue: queueGroup });
  const drain = (): void => void subscription.drain();
  stop.addEventListener('abort', drain);
  if (stop.aborted) drain();
  const unfinished = new Set<Promise<void>>();
  for await (const message of subscription) {
    const problem = findForgery(message);
    if (problem !== undefined) {
      refused?.inc({ request: handler.name });
      log.warn({ subject: message.subject, problem }, `${handler.name} refused`);
      continue;
    }
    const answered = answer(handler, message, { log, stop }).finally(() => unfinished.delete(answered));
    unfinished.add(answered);
    if (sequential) await answered;
  }
  if (finishOnStop) await Promise.all(unfinished);
}

async function answer<Body>(
  handler: RequestHandler<Body>,
  message: Msg,
  { log, stop }: { log: Logger; stop: AbortSignal },
): Promise<void> {
  const { name, handle, logFields, onError = toErrorReply, isExpected, observe } = handler;
  const { subject } = message;
  const startedAt = performance.now();
  let error: unknown;
  let reply: unknown;
  try {
    reply = await handle(parseBody(handler, message), { subject, stop });
  } catch (thrown) {
    error = thrown;
    const errorReply = onError(error);
    reply = errorReply;
    const { code, message: reason } = errorReply ?? toErrorReply(error);
    const fields = { ...logFields?.(subject), code, reason };
    if (isExpected?.(error)) log.debug(fields, `${name} postponed`);
    else log.warn(fields, `${name} failed`);
  }
  observe?.({ subject, error, seconds: (performance.now() - startedAt) / 1000 });
  if (error !== undefined && reply === undefined) return;
  try {
    message.respond(encode(reply));
  } catch (error) {
    log.error({ ...logFields?.(subject), err: error }, `${name}: sending the reply failed`);
  }
}

/** An inbox: of a client of this account, or the one that stands for a client of another account. */
const INBOX = /^(_INBOX[._]|_R_\.)/;

/**
 * NATS checks the subject of a message but not its reply subject: who may make any request can have its answer sent to any subject,
 * also to that of another request. Such an answer asks for no reply, or names one that is no inbox.
 *
 * @returns what is wrong with the message as a request
 */
function findForgery({ reply, headers }: Msg): string | undefined {
  if (reply === undefined || reply === '') return 'it asks for no reply';
  if (!INBOX.test(reply)) return `it asks for its reply on ${reply.slice(0, 100)}, which is no inbox`;
  return headers?.has(STORED_MESSAGE) ? 'it is a stored message of a stream' : undefined;
}

/** @throws BatonError MESSAGE_INVALID */
function parseBody<Body>({ schema, name }: RequestHandler<Body>, { subject, data }: Msg): Body {
  return parseValue(schema, data.length === 0 ? undefined : decode(data), `a ${name} on ${subject}`);
}
