import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { BatonError } from '../../contracts/errors.ts';
import { buildInstanceImage, findTool, type ImageFile } from './instance-image.ts';

const IMAGE = 'baton-host-filter:latest';
/** The newer and the older packet filter; an engine's machine may have only one of them. */
const TOOLS = ['iptables', 'ip6tables'].flatMap((name) =>
  ['', '-restore', '-save'].flatMap((end) => [`${name}${end}`, `${name}-legacy${end}`]),
);
/** iptables loads its matches from here. */
const PLUGIN_FOLDER = /^\/usr\/(?:lib|lib64)(?:\/[\w-]+)?\/xtables$/;

/**
 * Builds the image that makes the docker backend's packet filter, from the iptables and the Node of this machine: no registry is
 * needed, and the engine may be on another machine of the same architecture.
 *
 * @returns its name
 * @throws BatonError PROGRAM_FAILED where this machine isn't Linux, or has no iptables
 */
export async function buildFilterImage(docker: Docker): Promise<string> {
  if (process.platform !== 'linux' || (await findTool('iptables')) === undefined) {
    const message =
      'building the packet filter’s image from this machine’s files: there is no iptables. Install it (apt-get install iptables), or name an image in filter_image.';
    throw new BatonError('PROGRAM_FAILED', message);
  }
  await buildInstanceImage(docker, IMAGE, await findFilterParts());
  return IMAGE;
}

/** What such an image has besides Node: this machine's iptables, as far as there is one. */
export async function findFilterParts(): Promise<{ tools: readonly string[]; files: ImageFile[] }> {
  return { tools: TOOLS, files: await collectPlugins() };
}

async function collectPlugins(): Promise<ImageFile[]> {
  const folders = ['/usr/lib', '/usr/lib64'].map(async (folder) => {
    const entries = await readdir(folder).catch(() => []);
    return ['', ...entries].map((entry) => join(folder, entry, 'xtables'));
  });
  const candidates = (await Promise.all(folders)).flat().filter((folder) => PLUGIN_FOLDER.test(folder));
  const found = await Promise.all(
    candidates.map(async (folder) => {
      const names = await readdir(folder).catch(() => []);
      const wanted = names.filter((name) =>
        /^lib(?:xt|ipt|ip6t)_(?:standard|addrtype|tcp|udp|owner|REJECT)\.so$/.test(name),
      );
      return Promise.all(
        wanted.map(async (name) => {
          return { path: join(folder, name), content: await readFile(join(folder, name)), mode: 0o755 };
        }),
      );
    }),
  );
  return found.flat();
}
