import Docker from 'dockerode';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { getDockerStatus } from '../../../contracts/lib/docker-status.ts';
import { rejectOnAbort } from '../../lib/abort.ts';

/** A busy engine takes seconds to create a network. */
const REQUEST_TIMEOUT_MS = 120_000;

/** Labels on every created resource: they are enough to recognise an orphan. */
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
 * Makes one request to the engine, with a timeout.
 *
 * @param doing what is being done: `creating container x`
 * @throws BatonError BACKEND_UNAVAILABLE when the engine didn't answer or had an internal error, else INSTANCE_INVALID;
 *   the signal's reason when `abort` fired
 */
export async function callEngine<T>(
  doing: string,
  abort: AbortSignal,
  request: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  return callEngineExpecting<T, never>(doing, abort, [], request);
}

/**
 * {@link callEngine} for a request where some error statuses are expected: such a status is returned instead of thrown.
 */
export async function callEngineExpecting<T, S extends number>(
  doing: string,
  abort: AbortSignal,
  expected: readonly S[],
  request: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T | S> {
  abort.throwIfAborted();
  try {
    const bound = AbortSignal.any([abort, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
    // The library cannot abort every request.
    return await Promise.race([request(bound), rejectOnAbort(bound)]);
  } catch (error) {
    abort.throwIfAborted();
    // A bug in this code, not a missing answer.
    if (error instanceof TypeError) throw error;
    const status = getDockerStatus(error);
    const answer = expected.find((candidate) => candidate === status);
    if (answer !== undefined) return answer;
    const unavailable = status === undefined || status >= 500 || status === 429;
    // An engine that does not support a disk limit answers 500.
    const code =
      unavailable && !/storage-opt/i.test(getErrorMessage(error)) ? 'BACKEND_UNAVAILABLE' : 'INSTANCE_INVALID';
    throw new BatonError(code, `${doing}: ${getErrorMessage(error).trim()}`, { cause: error, details: { status } });
  }
}

/** A filter for all resources of an installation, or of one of its runners. */
export function toLabelFilter(installation: string, runner?: string): { label: string[] } {
  const label = [`${DOCKER_LABELS.installation}=${installation}`];
  if (runner !== undefined) label.push(`${DOCKER_LABELS.runner}=${runner}`);
  return { label };
}
