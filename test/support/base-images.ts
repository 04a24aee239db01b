import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type Docker from 'dockerode';
import { pack, type Pack } from 'tar-stream';
import { z } from 'zod';
import { buildInstanceImage, CONTENT_LABEL } from '../../deploy/images/instance-image.ts';
import { findFilterParts } from '../../deploy/images/filter-image.ts';
import { acquireServer, type ServerName } from '../../deploy/servers/acquire.ts';

/** The public images of the development cluster. */
export const NODE_IMAGE = 'node:24-bookworm-slim';
export const TEMPORAL_IMAGE = 'temporalio/temporal:1.5.1';
export const NATS_IMAGE = 'nats:2.15.2-alpine';

/** Its root file system is a copy of this machine's: Node, a shell, the usual tools. */
const ROOT_IMAGE = 'baton-test-root:latest';

/** The public images all have a user with this id. */
const USERS = 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n';

/** Label of the images that are built here: those of an earlier version of this file are built again. */
const LAYER_LABEL = 'baton.test-layer';
const LAYER_VERSION = '3';

interface Layer {
  /** Path in the image, without the first slash → file here, or its content. */
  files: Map<string, { file: string } | { content: string }>;
  /** Dockerfile instructions. */
  changes: string[];
}

/**
 * Makes sure that the engine has the public images. Pulls them or, where no registry answers, builds them under the
 * public names from this machine's files and the acquired servers.
 *
 * @returns the images that were built here, for {@link removeImages}
 */
export async function ensureBaseImages(docker: Docker): Promise<string[]> {
  const built: string[] = [];
  const layers = new Map<string, () => Promise<Layer>>([
    [NODE_IMAGE, () => Promise.resolve(buildNodeLayer())],
    [TEMPORAL_IMAGE, () => buildServerLayer('temporal', ['USER 1000:1000', 'ENTRYPOINT ["temporal"]', 'CMD []'])],
    [NATS_IMAGE, () => buildServerLayer('nats-server', ['USER 0:0', 'ENTRYPOINT []', 'CMD ["nats-server"]'])],
  ]);
  for (const [image, layer] of layers) {
    if ((await exists(docker, image)) || (await tryPull(docker, image))) continue;
    if (built.length === 0) {
      // Where the public image installs iptables, this one has it.
      await buildInstanceImage(docker, ROOT_IMAGE, await findFilterParts());
      built.push(ROOT_IMAGE);
    }
    await commit(docker, image, await layer());
    built.push(image);
  }
  return built;
}

export async function removeImages(docker: Docker, images: readonly string[]): Promise<void> {
  // An image that is in use stays.
  for (const image of images.toReversed())
    await docker
      .getImage(image)
      .remove({ force: true })
      .catch(() => undefined);
}

/** Whether the engine has the public image, or one that this version of the file built. */
async function exists(docker: Docker, image: string): Promise<boolean> {
  try {
    const labels = (await docker.getImage(image).inspect()).Config.Labels ?? {};
    return !(CONTENT_LABEL in labels) || labels[LAYER_LABEL] === LAYER_VERSION;
  } catch {
    return false;
  }
}

async function tryPull(docker: Docker, image: string): Promise<boolean> {
  try {
    const stream = await docker.pull(image);
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(stream, (error) => (error === null ? resolve() : reject(error)));
    });
    return true;
  } catch {
    return false;
  }
}

/** Node, npm with its registry, and this machine's certificate authorities, which the registry may need. */
function buildNodeLayer(): Layer {
  const npm = dirname(dirname(realpathSync(execFileSync('which', ['npm'], { encoding: 'utf8' }).trim())));
  const files: Layer['files'] = new Map();
  const target = 'usr/local/lib/node_modules/npm';
  for (const entry of readdirSync(npm, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(`${target}${file.slice(npm.length)}`, { file });
  }
  // The same path as in the public image.
  files.set('usr/local/bin/node', { file: process.execPath });
  files.set('usr/local/bin/npm', { content: `#!/bin/sh\nexec node /${target}/bin/npm-cli.js "$@"\n` });
  files.set('etc/passwd', { content: USERS });
  files.set('etc/group', { content: 'root:x:0:\nnode:x:1000:\n' });
  // The rest of the C library: native modules need it, Node itself does not.
  const { sharedObjects } = z.object({ sharedObjects: z.array(z.string()) }).parse(process.report.getReport());
  const libc = dirname(sharedObjects.find((file) => file.endsWith('/libc.so.6')) ?? '/lib/libc.so.6');
  for (const name of ['librt.so.1', 'libpthread.so.0', 'libdl.so.2', 'libm.so.6', 'libutil.so.1']) {
    const file = join(libc, name);
    if (existsSync(file)) files.set(`usr${libc.replace(/^\/usr/, '')}/${name}`, { file: realpathSync(file) });
  }
  const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8', stdio: 'pipe' }).trim();
  const changes = ['USER 0:0', 'WORKDIR /', 'ENV HOME=/root', `ENV npm_config_registry=${registry}`, 'CMD ["node"]'];
  const authorities = process.env['NODE_EXTRA_CA_CERTS'] ?? '/etc/ssl/certs/ca-certificates.crt';
  if (existsSync(authorities)) {
    files.set('etc/ssl/certs/ca-certificates.crt', { content: readFileSync(authorities, 'utf8') });
    changes.push('ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt');
  }
  return { files, changes };
}

async function buildServerLayer(name: ServerName, changes: string[]): Promise<Layer> {
  const found = await acquireServer(name);
  if (found.kind !== 'program')
    throw new Error(`${name} is only available as a remote server; this test needs its program`);
  const wget = `#!/bin/sh\nfor url; do :; done\nexec node -e 'fetch(process.argv[1]).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))' "$url"\n`;
  return {
    files: new Map([
      [`usr/local/bin/${name}`, { file: found.path }],
      ['usr/local/bin/wget', { content: wget }],
      ['etc/passwd', { content: USERS }],
    ]),
    changes: ['WORKDIR /', ...changes],
  };
}

async function commit(docker: Docker, image: string, { files, changes }: Layer): Promise<void> {
  const container = await docker.createContainer({ Image: ROOT_IMAGE, Cmd: ['true'] });
  try {
    const archive = pack();
    await Promise.all([container.putArchive(Readable.from(archive), { path: '/' }), fill(archive, files)]);
    const [repo, tag] = image.split(':');
    await container.commit({ repo, tag, changes: [...changes, `LABEL ${LAYER_LABEL}=${LAYER_VERSION}`] });
  } finally {
    await container.remove({ force: true });
  }
}

async function fill(archive: Pack, files: Layer['files']): Promise<void> {
  for (const [name, source] of files) {
    if ('content' in source) {
      archive.entry({ name, mode: 0o755 }, source.content);
    } else {
      const { size } = statSync(source.file);
      await pipeline(createReadStream(source.file), archive.entry({ name, mode: 0o755, size }));
    }
  }
  archive.finalize();
}
