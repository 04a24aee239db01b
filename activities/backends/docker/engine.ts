import Docker from 'dockerode';
import { z } from 'zod';
import { BatonError, getErrorMessage, type ErrorCode } from '../../../contracts/errors.ts';
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
 * @param refused how to treat a request that the engine refused: INSTANCE_INVALID where an instance was to be created (`invalid`),
 *   BACKEND_REFUSED where one was to be found or removed (`retry`)
 * @throws BatonError that, or BACKEND_DENIED for 401 and 403; BACKEND_UNAVAILABLE when the engine didn't answer, had an internal error
 *   or gave an answer without the documented shape; the signal's reason when `abort` fired
 */
export async function callEngine<T>(
  doing: string,
  abort: AbortSignal,
  request: (abortSignal: AbortSignal) => Promise<T>,
  refused: 'invalid' | 'retry' = 'invalid',
): Promise<T> {
  return callEngineExpecting<T, never>(doing, abort, [], request, refused);
}

/**
 * {@link callEngine} for a request where some error statuses are expected: such a status is returned instead of thrown.
 */
export async function callEngineExpecting<T, S extends number>(
  doing: string,
  abort: AbortSignal,
  expected: readonly S[],
  request: (abortSignal: AbortSignal) => Promise<T>,
  refused: 'invalid' | 'retry' = 'invalid',
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
    const text =
      error instanceof z.ZodError ? 'the answer does not have its documented shape' : getErrorMessage(error).trim();
    // An engine that does not support a disk limit answers 500.
    const code = /storage-opt/i.test(text) ? 'INSTANCE_INVALID' : toErrorCode(status, refused);
    throw new BatonError(code, `${doing}: ${text}`, { cause: error, details: { status } });
  }
}

/**
 * {@link callEngine} for a removal.
 *
 * @param isUnderWay whether a status and its text mean that the removal has been done already, or will soon be possible
 * @returns the engine's text in that case
 */
export async function callEngineUnless(
  doing: string,
  abort: AbortSignal,
  isUnderWay: (status: number, text: string) => boolean,
  request: (abortSignal: AbortSignal) => Promise<unknown>,
): Promise<string | undefined> {
  const remove = async (abortSignal: AbortSignal): Promise<string | undefined> => {
    try {
      await request(abortSignal);
      return undefined;
    } catch (error) {
      const status = getDockerStatus(error);
      const text = getErrorMessage(error).trim();
      if (status === undefined || !isUnderWay(status, text)) throw error;
      return text;
    }
  };
  return callEngine(doing, abort, remove, 'retry');
}

function toErrorCode(status: number | undefined, refused: 'invalid' | 'retry'): ErrorCode {
  if (status === undefined || status >= 500 || status === 408 || status === 429) return 'BACKEND_UNAVAILABLE';
  // An authorisation plugin of the engine, or a proxy in front of it.
  if (status === 401 || status === 403) return 'BACKEND_DENIED';
  return refused === 'invalid' ? 'INSTANCE_INVALID' : 'BACKEND_REFUSED';
}

/** A filter for all resources of an installation, or of one of its runners. */
export function toLabelFilter(installation: string, runner?: string): { label: string[] } {
  const label = [`${DOCKER_LABELS.installation}=${installation}`];
  if (runner !== undefined) label.push(`${DOCKER_LABELS.runner}=${runner}`);
  return { label };
}
