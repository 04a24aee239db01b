import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { pack } from 'tar-stream';
import { hasImage } from './engine.ts';

/** Bundles the simulator's fake runner. The CLI starts it as a process and never imports it. */
const BUNDLER = fileURLToPath(new URL('../../simulator/runner/bundle.ts', import.meta.url));

/** Where GitHub's own image has the runner, and who owns it there (see `instance.user`). */
const FOLDER_IN_IMAGE = 'home/runner';
const OWNER = { uid: 1001, gid: 1001 };

/** The repository of the images that contain the fake runner. */
const IMAGE_REPOSITORY = 'baton-demo-instance';

/** Writes the fake runner to `folder`: run.sh and what it needs. */
export async function installFakeRunner(folder: string): Promise<void> {
  await promisify(execFile)(process.execPath, [BUNDLER, folder]);
}

/**
 * An image of `base` with the fake runner of `folder` in it. Its tag is a hash of both, so it is built once.
 *
 * @param base an image on the engine with Node on its PATH
 * @returns the image's name
 */
export async function buildFakeRunnerImage(docker: Docker, base: string, folder: string): Promise<string> {
  const { Id: baseId } = await docker.getImage(base).inspect();
  const files = readdirSync(folder).map((name) => ({ name, content: readFileSync(join(folder, name)) }));
  const hash = createHash('sha256').update(baseId);
  for (const { name, content } of files) hash.update(`${name}\0${content.length}\0`).update(content);
  const tag = hash.digest('hex').slice(0, 12);
  const image = `${IMAGE_REPOSITORY}:${tag}`;
  if (await hasImage(docker, image)) return image;
  const container = await docker.createContainer({ Image: base, Cmd: ['true'] });
  try {
    const archive = pack();
    archive.entry({ name: FOLDER_IN_IMAGE, type: 'directory', mode: 0o755, ...OWNER });
    for (const { name, content } of files) {
      archive.entry({ name: `${FOLDER_IN_IMAGE}/${name}`, mode: 0o755, ...OWNER }, content);
    }
    archive.finalize();
    await container.putArchive(await buffer(archive), { path: '/' });
    await container.commit({ repo: IMAGE_REPOSITORY, tag });
  } finally {
    await container.remove({ force: true });
  }
  await removeOlderImages(docker, image);
  return image;
}

/** Removes the images of earlier versions of the fake runner or of its base; one that is in use stays. */
async function removeOlderImages(docker: Docker, image: string): Promise<void> {
  for (const { RepoTags: tags } of await docker.listImages({ filters: { reference: [IMAGE_REPOSITORY] } })) {
    for (const tag of tags ?? []) {
      if (tag !== image)
        await docker
          .getImage(tag)
          .remove()
          .catch(() => undefined);
    }
  }
}
