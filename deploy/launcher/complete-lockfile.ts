import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const FILE = fileURLToPath(new URL('../../package-lock.json', import.meta.url));

const record = z.record(z.string(), z.unknown());
const packages = z.record(z.string(), record);
const versions = z.record(z.string(), z.string()).default({});

/** A lock file with all its keys in order; `packages` by path. */
export interface Lockfile {
  all: Record<string, unknown>;
  packages: Record<string, Record<string, unknown>>;
}

/** An optional dependency that has no entry of its own in the lock file: `npm ci` refuses such a file. */
export interface Gap {
  name: string;
  version: string;
  /** Needed for development only, as the package that depends on it. */
  dev: boolean;
}

export function readLockfile(file = FILE): Lockfile {
  const all = record.parse(JSON.parse(readFileSync(file, 'utf8')));
  return { all, packages: packages.parse(all['packages']) };
}

/** All gaps. `npm install` drops other platforms' packages where its registry doesn't have them (a partial mirror). */
export function findGaps({ packages }: Lockfile): Gap[] {
  const gaps = new Map<string, Gap>();
  for (const [path, { optionalDependencies, dev }] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(versions.parse(optionalDependencies))) {
      if (!isFound(packages, path, name)) gaps.set(name, { name, version, dev: dev === true });
    }
  }
  return [...gaps.values()];
}

/** Looks for a package as Node does: in the package's own folder, then in each folder above. */
function isFound(packages: Lockfile['packages'], path: string, name: string): boolean {
  for (let at = path; ; at = at.includes('/node_modules/') ? at.slice(0, at.lastIndexOf('/node_modules/')) : '') {
    if (`${at === '' ? '' : `${at}/`}node_modules/${name}` in packages) return true;
    if (at === '') return false;
  }
}

const OS = ['linux', 'darwin', 'win32', 'freebsd', 'android', 'openharmony'];
const CPU = ['x64', 'arm64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x'];

/** An entry for a package whose name contains its platform; undefined for any other name. */
function createPlatformEntry({ name, version, dev }: Gap): Record<string, unknown> | undefined {
  const parts = name.split(/[/-]/);
  const os = OS.find((candidate) => parts.includes(candidate));
  const cpu = CPU.find((candidate) => parts.includes(candidate));
  if (os === undefined || cpu === undefined || !/^\d+\.\d+\.\d+$/.test(version)) return undefined;
  const last = parts.at(-1) ?? '';
  const libc =
    os !== 'linux'
      ? {}
      : last.startsWith('musl')
        ? { libc: ['musl'] }
        : last.startsWith('gnu')
          ? { libc: ['glibc'] }
          : {};
  return { version, cpu: [cpu], ...(dev ? { dev } : {}), ...libc, optional: true, os: [os] };
}

/** Fills the gaps, and sorts the packages as npm does. @returns the gaps that can't be filled */
export function fillGaps(lock: Lockfile): Gap[] {
  const left: Gap[] = [];
  for (const gap of findGaps(lock)) {
    const entry = createPlatformEntry(gap);
    if (entry) lock.packages[`node_modules/${gap.name}`] = entry;
    else left.push(gap);
  }
  const paths = Object.keys(lock.packages).toSorted((a, b) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(paths.map((path) => [path, lock.packages[path] ?? {}]));
  return left;
}

// As a program, after an `npm install` with a partial mirror: `node deploy/launcher/complete-lockfile.ts`.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = readLockfile();
  const before = findGaps(lock).length;
  const left = fillGaps(lock);
  writeFileSync(FILE, `${JSON.stringify({ ...lock.all, packages: lock.packages }, null, 2)}\n`);
  console.log(`${before - left.length} entries added, ${left.length} left${left.map(({ name }) => ` ${name}`).join()}`);
  process.exitCode = left.length === 0 ? 0 : 1;
}
