import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { pack, type Pack } from 'tar-stream';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';

const run = promisify(execFile);

/** The label with a hash of an image's content: an unchanged image is not built again. */
export const CONTENT_LABEL = 'baton.content';

/** Programs that shell steps often call. The image gets those that this machine has; a shell is required. */
const TOOLS = (
  'sh bash basename cat chmod cp cut date dirname echo env expr false find grep head hostname id kill ln ls mkdir mktemp ' +
  'mv nproc printf ps pwd readlink rm rmdir sed seq sleep sort stat tail tee test touch tr true uname uniq wc which whoami xargs'
).split(' ');

/** Libraries that older C libraries load at run time to look up hosts and users, so that `ldd` doesn't list them. */
const DLOPENED = ['libnss_files.so.2', 'libnss_dns.so.2', 'libresolv.so.2'];

/** Another file for the image. */
export interface ImageFile {
  /** Absolute, in the image; its folders are created. */
  path: string;
  content: Buffer | string;
  mode?: number;
}

/**
 * Builds a small Linux image from this machine's own files, without a registry: Node, a shell, the usual tools, a user
 * `runner` (1001) with a home. It is enough for the agent and for shell steps; `docker import` takes a few seconds.
 *
 * @param tag `name:tag`, or a name alone for its `latest`
 * @param options.files more files; those under /home/runner belong to its user
 * @param options.tools more programs of this machine; one that it doesn't have is left out
 * @returns whether it was built; false when the engine has the same image already
 * @throws BatonError PROGRAM_FAILED when this machine lacks the files, or the engine refuses
 */
export async function buildInstanceImage(
  docker: Docker,
  tag: string,
  options: { node?: string; files?: ImageFile[]; tools?: readonly string[] } = {},
): Promise<boolean> {
  const files = options.files ?? [];
  const binaries = await collectBinaries(options.node ?? process.execPath, [...TOOLS, ...(options.tools ?? [])]);
  const content = await fingerprint(binaries, files);
  try {
    const image = await docker.getImage(tag).inspect();
    if (image.Config.Labels?.[CONTENT_LABEL] === content) return false;
  } catch {
    // There is no such image yet; or the engine doesn't answer, and the import below fails.
  }
  const archive = pack();
  const filling = fillArchive(archive, binaries, files);
  const [repo = tag, version = 'latest'] = tag.split(/:(?=[^/]+$)/);
  const changes = [
    `LABEL ${CONTENT_LABEL}=${content}`,
    'ENV PATH=/usr/local/bin:/usr/bin:/bin HOME=/home/runner',
    'WORKDIR /home/runner',
    'USER 1001:1001',
  ];
  try {
    const answer = await docker.importImage(Readable.from(archive), { repo, tag: version, changes });
    await Promise.all([filling, followImport(docker, answer)]);
  } catch (error) {
    archive.destroy();
    await filling.catch(() => undefined);
    throw new BatonError('PROGRAM_FAILED', `importing image ${tag}: ${getErrorMessage(error)}`, { cause: error });
  }
  return true;
}

function followImport(docker: Docker, answer: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    docker.modem.followProgress(answer, (error: Error | null) => (error ? reject(error) : resolve()));
  });
}

/** The path in the image of each program and library, with its file on this machine. */
async function collectBinaries(node: string, tools: readonly string[]): Promise<Map<string, string>> {
  if (process.platform !== 'linux') {
    const message =
      'building an image from this machine’s files: it does not run Linux. Name an image in the configuration.';
    throw new BatonError('PROGRAM_FAILED', message);
  }
  const found = new Map([['/usr/bin/node', await realpath(node)]]);
  for (const tool of tools) {
    const file = await findTool(tool);
    if (file !== undefined) found.set(`/usr/bin/${tool}`, file);
  }
  if (!found.has('/usr/bin/sh')) {
    throw new BatonError(
      'PROGRAM_FAILED',
      'building an image from this machine’s files: there is no /bin/sh. Install a shell.',
    );
  }
  const { stdout } = await run('ldd', [...new Set(found.values())]).catch((error: unknown) => {
    // `ldd` fails on programs without libraries, but still lists those of all others.
    if (error instanceof Error && 'stdout' in error) return { stdout: String(error.stdout) };
    throw error;
  });
  for (const [, library = ''] of stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)) {
    found.set(library.replace(/^\/(lib|lib64|bin)\//, '/usr/$1/'), await realpath(library));
  }
  const libc = [...found.keys()].find((path) => path.endsWith('/libc.so.6'));
  for (const name of libc === undefined ? [] : DLOPENED) {
    const path = libc?.replace(/libc\.so\.6$/, name) ?? '';
    const here = await realpath(path).catch(() => undefined);
    if (here !== undefined) found.set(path, here);
  }
  return found;
}

/** The file of that program on this machine; undefined where it has none. */
export async function findTool(tool: string): Promise<string | undefined> {
  for (const folder of ['/usr/bin', '/bin', '/usr/sbin', '/sbin']) {
    const path = `${folder}/${tool}`;
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) return realpath(path);
  }
  return undefined;
}

async function fingerprint(binaries: Map<string, string>, files: ImageFile[]): Promise<string> {
  const hash = createHash('sha256');
  for (const [path, file] of binaries) {
    const { size, mtimeMs } = await stat(file);
    hash.update(`${path}\0${file}\0${size}\0${mtimeMs}\0`);
  }
  for (const { path, content, mode } of files) hash.update(`${path}\0${mode}\0`).update(content);
  return hash.digest('hex').slice(0, 32);
}

const RUNNER = { uid: 1001, gid: 1001 };

async function fillArchive(archive: Pack, binaries: Map<string, string>, files: ImageFile[]): Promise<void> {
  const created = new Set<string>();
  const folder = (path: string, more: { mode?: number; uid?: number; gid?: number } = {}): void => {
    if (created.has(path) || path === '') return;
    folder(path.slice(0, path.lastIndexOf('/')));
    created.add(path);
    const owner = path.startsWith('/home/runner') ? RUNNER : {};
    archive.entry({ name: `${path.slice(1)}/`, type: 'directory', mode: 0o755, ...owner, ...more });
  };
  for (const path of [
    '/etc',
    '/usr/bin',
    '/usr/lib',
    '/usr/lib64',
    '/home/runner',
    '/root',
    '/var',
    '/dev',
    '/proc',
    '/sys',
  ]) {
    folder(path);
  }
  folder('/tmp', { mode: 0o1777 });
  for (const name of ['bin', 'lib', 'lib64']) archive.entry({ name, type: 'symlink', linkname: `usr/${name}` });
  const passwd = 'root:x:0:0:root:/root:/bin/sh\nrunner:x:1001:1001:runner:/home/runner:/bin/sh\n';
  archive.entry({ name: 'etc/passwd', mode: 0o644 }, passwd);
  archive.entry({ name: 'etc/group', mode: 0o644 }, 'root:x:0:\nrunner:x:1001:\n');
  archive.entry({ name: 'etc/nsswitch.conf', mode: 0o644 }, 'passwd: files\ngroup: files\nhosts: files dns\n');
  for (const [path, file] of binaries) {
    folder(path.slice(0, path.lastIndexOf('/')));
    const { size } = await stat(file);
    await pipeline(createReadStream(file), archive.entry({ name: path.slice(1), mode: 0o755, size }));
  }
  for (const { path, content, mode = 0o644 } of files) {
    folder(path.slice(0, path.lastIndexOf('/')));
    const owner = path.startsWith('/home/runner') ? RUNNER : {};
    archive.entry({ name: path.slice(1), mode, ...owner }, content);
  }
  archive.finalize();
}
