import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { BatonError } from '../../contracts/errors.ts';
import type { RunnerUser } from './runner-user.ts';

/** Where the forge's runner writes: the workspaces of jobs, and its own logs. */
const WRITABLE = ['_work', '_diag'];
/** Its configuration, which it must read. Who could change it could have it take jobs from another server. */
const CONFIGURATION = /^\.(?:runner|credentials)/;
/** It reads both at its start: `.env` goes over its environment, hooks included. */
const READ_AT_START = ['.env', '.path'];

/**
 * Makes all of the runner's folder root's, but for the folders that it writes to; jobs can then replace neither its programs nor its
 * settings.
 *
 * @throws BatonError CONFIG_INVALID if the user could replace the folder itself
 */
export function protectRunnerFolder(directory: string, user: RunnerUser): void {
  assertProtected(dirname(resolve(directory)), user, '--directory');
  for (const name of WRITABLE) mkdirSync(join(directory, name), { recursive: true });
  protect(directory);
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (WRITABLE.includes(name)) {
      chownSync(path, user.uid, user.gid);
      chmodSync(path, 0o750);
    } else {
      protectTree(path);
      if (!CONFIGURATION.test(name)) continue;
      lchownSync(path, 0, user.gid);
      chmodSync(path, 0o640);
    }
  }
}

/** Lets the user write to the folder, for the time of `config.sh`; nothing of a job runs then. */
export function openRunnerFolder(directory: string, user: RunnerUser): void {
  chownSync(directory, user.uid, user.gid);
  for (const name of readdirSync(directory)) {
    if (CONFIGURATION.test(name) || READ_AT_START.includes(name)) lchownSync(join(directory, name), user.uid, user.gid);
  }
}

/** The ending of an earlier configuration, while there may be a new one. */
const EARLIER = '.earlier';

/**
 * Takes the runner's configuration away: `config.sh` refuses to configure a runner that has one.
 *
 * @returns whether there was one
 */
export function setConfigurationAside(directory: string): boolean {
  const files = readdirSync(directory).filter((name) => CONFIGURATION.test(name) && !name.endsWith(EARLIER));
  for (const name of files) renameSync(join(directory, name), join(directory, `${name}${EARLIER}`));
  // A proxy that was killed meanwhile left one too.
  return existsSync(join(directory, `.runner${EARLIER}`));
}

/** Removes the earlier configuration, or makes it the runner's again. */
export function endConfiguration(directory: string, keep: 'new' | 'earlier'): void {
  for (const name of readdirSync(directory).filter((file) => file.endsWith(EARLIER))) {
    if (keep === 'new') rmSync(join(directory, name));
    else renameSync(join(directory, name), join(directory, name.slice(0, -EARLIER.length)));
  }
}

/** Removes what jobs left in the workspaces; nothing of a job runs then. */
export function clearWorkFolder(directory: string): void {
  const work = join(directory, '_work');
  if (!existsSync(work)) return;
  for (const name of readdirSync(work)) rmSync(join(work, name), { recursive: true, force: true });
}

/**
 * Checks that the user can replace neither that folder nor any above it.
 *
 * @throws BatonError CONFIG_INVALID
 */
export function assertProtected(folder: string, user: RunnerUser, option: string): void {
  for (let path = resolve(folder); ; path = dirname(path)) {
    if (canReplace(statSync(path), user)) {
      const what = `user ${user.name} can change ${path}, and so replace what is in it; jobs run as that user`;
      throw new BatonError('CONFIG_INVALID', `reading the proxy’s options: ${option}: ${what}`);
    }
    if (path === dirname(path)) return;
  }
}

/**
 * Checks that the user cannot read that file.
 *
 * @throws BatonError CONFIG_INVALID, CONFIG_UNREADABLE if there is no such file
 */
export function assertUnreadable(file: string, user: RunnerUser, option: string): void {
  const doing = `reading the proxy’s options: ${option}`;
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) throw new BatonError('CONFIG_UNREADABLE', `${doing}: there is no file ${file}`);
  const { uid, gid, mode } = stats;
  if (uid !== user.uid && (mode & 0o004) === 0 && (gid !== user.gid || (mode & 0o040) === 0)) return;
  const what = `user ${user.name} can read ${file}; jobs run as that user. Make it root’s, with mode 0600`;
  throw new BatonError('CONFIG_INVALID', `${doing}: ${what}`);
}

function canReplace({ uid, gid, mode }: Stats, user: RunnerUser): boolean {
  if (uid === user.uid) return true;
  const isWritable = (gid === user.gid && (mode & 0o020) !== 0) || (mode & 0o002) !== 0;
  // In a sticky folder such as /tmp, only the owner replaces a file.
  return isWritable && (mode & 0o1000) === 0;
}

function protectTree(path: string): void {
  if (!protect(path)) return;
  for (const name of readdirSync(path)) protectTree(join(path, name));
}

/** Makes a file or folder root's, writable by root alone. @returns whether it is a folder */
function protect(path: string): boolean {
  const stats = lstatSync(path);
  // In a container, each change copies a file from the image.
  if (stats.uid !== 0) lchownSync(path, 0, 0);
  if (stats.isSymbolicLink()) return false;
  if ((stats.mode & 0o6022) !== 0) chmodSync(path, stats.mode & 0o1755);
  return stats.isDirectory();
}
