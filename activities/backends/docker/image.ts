import type Docker from 'dockerode';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { rejectOnAbort } from '../../lib/abort.ts';
import { callEngineExpecting } from './engine.ts';

/** After a timeout the create is retried; the engine still has the layers it has pulled. */
const PULL_TIMEOUT_MS = 480_000;

/** Pulls in progress, by engine and image: a burst of runners waits for one pull. */
const underWay = new WeakMap<Docker, Map<string, Promise<void>>>();

/**
 * Pulls the image if the engine doesn't have it.
 *
 * @throws BatonError IMAGE_MISSING when the pull fails
 */
export async function ensureImage(docker: Docker, image: string, abort: AbortSignal): Promise<void> {
  const found = await callEngineExpecting(`looking for image ${image}`, abort, [404], () =>
    docker.getImage(image).inspect(),
  );
  if (found !== 404) return;
  const pulls = underWay.get(docker) ?? new Map<string, Promise<void>>();
  underWay.set(docker, pulls);
  let pulling = pulls.get(image);
  if (pulling === undefined) {
    pulling = pull(docker, image).finally(() => pulls.delete(image));
    pulls.set(image, pulling);
  }
  await Promise.race([pulling, rejectOnAbort(abort)]);
}

async function pull(docker: Docker, image: string): Promise<void> {
  const abortSignal = AbortSignal.timeout(PULL_TIMEOUT_MS);
  // Without a tag the engine would pull all tags.
  const reference = /[:@][^/]+$/.test(image) ? image : `${image}:latest`;
  try {
    const progress = await docker.pull(reference, { abortSignal });
    await new Promise<void>((resolve, reject) => {
      abortSignal.addEventListener('abort', () => reject(new Error(`timed out after ${PULL_TIMEOUT_MS / 1000} s`)));
      docker.modem.followProgress(progress, (error: Error | null) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    const message = `pulling image ${image}, which the engine does not have: ${getErrorMessage(error).trim()}`;
    throw new BatonError('IMAGE_MISSING', message, { cause: error });
  }
}
