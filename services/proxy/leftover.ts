import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { getErrorMessage } from '../../contracts/errors.ts';

const KILL_TIMEOUT_MS = 10_000;

/**
 * Records the process id of the forge's runner, for the next proxy after a `kill -9` of this one. On a full or read-only disk, nothing
 * is recorded, and jobs are handed over all the same.
 *
 * @returns why nothing was recorded; undefined where it was
 */
export function recordProgram(file: string, pid: number | undefined): string | undefined {
  try {
    rmSync(file, { force: true });
    if (pid !== undefined) writeFileSync(file, String(pid));
    return undefined;
  } catch (error) {
    return getErrorMessage(error);
  }
}

/**
 * Kills a forge's runner that an earlier proxy left running: as long as it has a session, the next one gets none. Only
 * a process whose working directory is the runner's folder is killed. On systems other than Linux that cannot be
 * checked, and nothing is killed.
 *
 * @returns whether there was one
 */
export async function killLeftover(file: string, directory: string): Promise<boolean> {
  const pid = Number(read(file));
  if (!Number.isSafeInteger(pid) || pid < 2 || !isRunningIn(pid, directory)) return false;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    return false;
  }
  for (const until = Date.now() + KILL_TIMEOUT_MS; isRunningIn(pid, directory) && Date.now() < until;) await sleep(50);
  return true;
}

function isRunningIn(pid: number, directory: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory;
  } catch {
    return false;
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
