import { BatonError, messageOf } from '../../../contracts/errors.ts';
import { buildInstanceImage } from '../../../deploy/images/instance-image.ts';
import { findDockerEngine, hasImage, pullImage, type Engine } from './engine.ts';

/** What the demo's runners live in when it is built here from this machine's own files. */
const OWN_IMAGE = 'baton-instance:dev';
/** What else will do: anything with a Node and a shell. */
const PUBLIC_IMAGE = 'node:24-bookworm-slim';

/** The demo's backend, and one clause that says why this one. */
export type DemoBackend =
  { type: 'docker'; why: string; engine: Engine; image: string } | { type: 'local'; why: string };

/**
 * Chooses: what was asked for; else docker where an engine answers and has or gets an image, else local.
 *
 * @throws BatonError BACKEND_UNAVAILABLE or IMAGE_MISSING when docker was asked for and can't be had
 */
export async function chooseBackend(wanted: 'docker' | 'local' | undefined): Promise<DemoBackend> {
  if (wanted === 'local') return { type: 'local', why: 'as asked for' };
  const engine = await findDockerEngine();
  if ('absent' in engine) {
    if (wanted === 'docker') throw new BatonError('BACKEND_UNAVAILABLE', `looking for Docker: ${engine.absent}`);
    return { type: 'local', why: engine.absent };
  }
  try {
    const image = await getImage(engine);
    return { type: 'docker', why: `engine ${engine.version} answers at ${engine.socket}`, engine, image };
  } catch (error) {
    if (wanted === 'docker') throw error;
    return { type: 'local', why: `Docker answers, but ${messageOf(error)}` };
  }
}

/** In this order: made here (at once when it was made before), on the engine already, pulled. */
async function getImage({ docker }: Engine): Promise<string> {
  const tried: string[] = [];
  try {
    await buildInstanceImage(docker, OWN_IMAGE);
    return OWN_IMAGE;
  } catch (error) {
    tried.push(`building ${OWN_IMAGE}: ${messageOf(error)}`);
  }
  if (await hasImage(docker, PUBLIC_IMAGE)) return PUBLIC_IMAGE;
  try {
    await pullImage(docker, PUBLIC_IMAGE);
    return PUBLIC_IMAGE;
  } catch (error) {
    tried.push(`pulling ${PUBLIC_IMAGE}: ${messageOf(error)}`);
  }
  throw new BatonError('IMAGE_MISSING', `there is no image for its runners: ${tried.join('; ')}`);
}
