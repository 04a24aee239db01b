import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { buildInstanceImage } from '../../../deploy/images/instance-image.ts';
import { findDockerEngine, hasImage, pullImage, type Engine } from './engine.ts';

/** The image of the demo's runners that is built here from this machine's own files. */
const OWN_IMAGE = 'baton-instance:dev';
/** The image to use otherwise: anything with Node and a shell works. */
const PUBLIC_IMAGE = 'node:24-bookworm-slim';

/** The demo's backend, and why this one was chosen. */
export type DemoBackend =
  { type: 'docker'; why: string; engine: Engine; image: string } | { type: 'local'; why: string };

/**
 * The requested backend; else docker where an engine answers and has or gets an image, else local.
 *
 * @throws BatonError BACKEND_UNAVAILABLE or IMAGE_MISSING when docker was requested and can't be used
 */
export async function chooseBackend(wanted: 'docker' | 'local' | undefined): Promise<DemoBackend> {
  if (wanted === 'local') return { type: 'local', why: 'as requested' };
  const engine = await findDockerEngine();
  if ('absent' in engine) {
    if (wanted === 'docker') throw new BatonError('BACKEND_UNAVAILABLE', `finding a Docker engine: ${engine.absent}`);
    return { type: 'local', why: engine.absent };
  }
  try {
    const image = await getImage(engine);
    return { type: 'docker', why: `engine ${engine.version} answers at ${engine.socket}`, engine, image };
  } catch (error) {
    if (wanted === 'docker') throw error;
    return { type: 'local', why: `Docker answers, but ${getErrorMessage(error)}` };
  }
}

/** In this order: built here (at once when it was built before), on the engine already, pulled. */
async function getImage({ docker }: Engine): Promise<string> {
  const tried: string[] = [];
  try {
    await buildInstanceImage(docker, OWN_IMAGE);
    return OWN_IMAGE;
  } catch (error) {
    tried.push(`building ${OWN_IMAGE}: ${getErrorMessage(error)}`);
  }
  if (await hasImage(docker, PUBLIC_IMAGE)) return PUBLIC_IMAGE;
  try {
    await pullImage(docker, PUBLIC_IMAGE);
    return PUBLIC_IMAGE;
  } catch (error) {
    tried.push(`pulling ${PUBLIC_IMAGE}: ${getErrorMessage(error)}`);
  }
  throw new BatonError('IMAGE_MISSING', `getting an image for the demo’s runners: ${tried.join('; ')}`);
}
