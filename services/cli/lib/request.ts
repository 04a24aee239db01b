import type { z } from 'zod';
import { connectBus, decode, encode, type Bus } from '../../../contracts/lib/nats.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import { findNats } from './find-nats.ts';

/** Options that all commands share which ask the services something. */
export interface NatsOptions {
  config?: string | undefined;
  credentials?: string | undefined;
}

/**
 * Connects to NATS, does something, and disconnects.
 *
 * @param role of the credential that `baton start` made: `admin` where something is changed
 * @throws BatonError CONFIG_*, BUS_UNAVAILABLE, BUS_DENIED; what `work` throws
 */
export async function withNats<T>(
  options: NatsOptions,
  role: 'observer' | 'admin',
  work: (bus: Bus) => Promise<T>,
): Promise<T> {
  const { url, tls, credentialsFile } = findNats(options.config, options.credentials, role);
  const bus = await connectBus({ url, tls, name: 'baton', credentialsFile, waitForServer: false });
  try {
    return await work(bus);
  } finally {
    await bus.close();
  }
}

/**
 * Asks the orchestrator, on a subject that it answers.
 *
 * @param doing for the error: `asking for the status`
 * @throws BatonError BUS_UNAVAILABLE when nobody answers within `timeoutMs`
 */
export async function request<T extends z.ZodType>(
  bus: Bus,
  question: { subject: string; body?: unknown; doing: string; timeoutMs?: number },
  answer: T,
): Promise<z.output<T>> {
  const { subject, body, doing, timeoutMs = 5000 } = question;
  try {
    const data = body === undefined ? undefined : encode(body);
    const reply = await bus.request(subject, data, { timeout: timeoutMs });
    return answer.parse(decode(reply.data));
  } catch (error) {
    const what = `${doing} at ${bus.getServer()}: ${messageOf(error)}; does an orchestrator run?`;
    throw new BatonError('BUS_UNAVAILABLE', what, { cause: error });
  }
}
