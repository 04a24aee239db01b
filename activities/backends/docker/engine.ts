import Docker from 'dockerode';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import { getDockerStatus } from '../../../contracts/lib/docker-status.ts';
import { rejectOnAbort } from '../../lib/abort.ts';

/** How long the engine may take for one request, milliseconds; a busy one takes seconds for a network. */
const REQUEST_TIMEOUT_MS = 120_000;

/** Labels on everything that is made, so that an orphan can be told by them alone. */
export const DOCKER_LABELS = {
  installation: 'baton.installation',
  group: 'baton.group',
  runner: 'baton.runner',
  /** Hash of the parameters. */
  spec: 'baton.spec',
} as const;

/** @param address the engine's socket, or `tcp://host:port` */
export function connectEngine(address: string): Docker {
  if (!address.startsWith('tcp://')) return new Docker({ socketPath: address });
  const url = new URL(address);
  return new Docker({ protocol: 'http', host: url.hostname, port: Number(url.port || 2375) });
}

/**
 * One request to the engine, bounded in time.
 *
 * @param doing what for, e.g. `creating container x`
 * @throws BatonError BACKEND_UNAVAILABLE when the engine didn't answer or had an error of its own, else INSTANCE_INVALID;
 *   the signal's reason when `abort` fired
 */
export async function callEngine<T>(
  doing: string,
  abort: AbortSignal,
  request: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  return callEngineExpecting<T, never>(doing, abort, [], request);
}

/** {@link callEngine}, where some answers of the engine are no errors: their status is returned in place of a value. */
export async function callEngineExpecting<T, S extends number>(
  doing: string,
  abort: AbortSignal,
  expected: readonly S[],
  request: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T | S> {
  abort.throwIfAborted();
  try {
    const bound = AbortSignal.any([abort, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    // Not every request of the library can be ended by a signal.
    return await Promise.race([request(bound), rejectOnAbort(bound)]);
  } catch (error) {
    abort.throwIfAborted();
    // A fault of ours is no silence of the engine's.
    if (error instanceof TypeError) throw error;
    const status = getDockerStatus(error);
    const answer = expected.find((candidate) => candidate === status);
    if (answer !== undefined) return answer;
    const unavailable = status === undefined || status >= 500 || status === 429;
    // An engine that can't limit a disk says so with a 500.
    const code = unavailable && !/storage-opt/i.test(messageOf(error)) ? 'BACKEND_UNAVAILABLE' : 'INSTANCE_INVALID';
    throw new BatonError(code, `${doing}: ${messageOf(error).trim()}`, { cause: error, details: { status } });
  }
}

/** A filter for all that is this installation's, or one runner's of it. */
export function toLabelFilter(installation: string, runner?: string): { label: string[] } {
  const label = [`${DOCKER_LABELS.installation}=${installation}`];
  if (runner !== undefined) label.push(`${DOCKER_LABELS.runner}=${runner}`);
  return { label };
}
