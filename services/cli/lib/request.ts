import { ErrorCode as NatsErrorCode, NatsError, RequestStrategy } from 'nats';
import type { z } from 'zod';
import { connectBus, decode, encode, type Bus } from '../../../contracts/lib/nats.ts';
import { BatonError, ERRORS, getErrorMessage, type ErrorCode } from '../../../contracts/errors.ts';
import { parseValue } from '../../../contracts/lib/parse-value.ts';
import { formatDuration } from '../../../contracts/format.ts';
import { findNats, type NatsRole } from './find-nats.ts';
import type { natsOptions } from './options.ts';

const TIMEOUT_MS = 5000;
/** Replies of several services come within seconds; how many there will be is not known. */
const ALL_REPLIES_TIMEOUT_MS = 15_000;
const NEXT_REPLY_TIMEOUT_MS = 3000;

interface NatsRequest {
  subject: string;
  body?: unknown;
  /** For the error: `requesting the status`. */
  action: string;
  timeoutMs?: number;
}

/**
 * Connects to NATS, does `work`, and disconnects.
 *
 * @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED; what `work` throws
 */
export async function withNats<T>(
  options: z.infer<typeof natsOptions>,
  role: NatsRole,
  work: (bus: Bus) => Promise<T>,
): Promise<T> {
  const bus = await connectBus({ ...findNats(options, role), name: 'baton', waitForServer: false });
  try {
    return await work(bus);
  } finally {
    await bus.close();
  }
}

/**
 * Makes a request that the orchestrator answers.
 *
 * @throws BatonError BUS_UNAVAILABLE without a reply in time, BUS_DENIED where these credentials may not make it
 */
export async function request<T extends z.ZodType>(
  bus: Bus,
  { subject, body, action, timeoutMs = TIMEOUT_MS }: NatsRequest,
  schema: T,
): Promise<z.output<T>> {
  try {
    const data = body === undefined ? undefined : encode(body);
    const reply = await bus.request(subject, data, { timeout: timeoutMs });
    return parseValue(schema, decode(reply.data), `the reply on ${subject}`);
  } catch (error) {
    const code = error instanceof NatsError && /PERMISSION/i.test(error.code) ? 'BUS_DENIED' : 'BUS_UNAVAILABLE';
    const message = `${action} at ${bus.getServer()}: ${findReason(error, timeoutMs)}`;
    throw new BatonError(code, message, { cause: error });
  }
}

const NO_RESPONDERS: string = NatsErrorCode.NoResponders;
const TIMEOUT: string = NatsErrorCode.Timeout;

function findReason(error: unknown, timeoutMs: number): string {
  const code = error instanceof NatsError ? error.code : undefined;
  if (code === NO_RESPONDERS) return 'no orchestrator listens';
  return code === TIMEOUT ? `no answer within ${formatDuration(timeoutMs)}` : getErrorMessage(error);
}

/** The error of a service that could not do what was requested. */
export function toError({ code, message }: { code: string; message: string }): BatonError {
  return new BatonError(isErrorCode(code) ? code : 'INTERNAL', message);
}

function isErrorCode(code: string): code is ErrorCode {
  return code in ERRORS;
}

/** Makes a request that any number of services answer, and collects their replies; none where no service listens. */
export async function requestAll<T extends z.ZodType>(
  bus: Bus,
  { subject, body }: { subject: string; body: unknown },
  schema: T,
): Promise<z.output<T>[]> {
  const replies: z.output<T>[] = [];
  const messages = await bus.requestMany(subject, encode(body), {
    strategy: RequestStrategy.JitterTimer,
    maxWait: ALL_REPLIES_TIMEOUT_MS,
    jitter: NEXT_REPLY_TIMEOUT_MS,
  });
  for await (const message of messages) {
    // No service listens, or NATS ended the request: the replies so far count.
    if (message instanceof Error) break;
    replies.push(parseValue(schema, decode(message.data), `a reply on ${subject}`));
  }
  return replies;
}
