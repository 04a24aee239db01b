import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '../../contracts/errors.ts';

/** The user that the forge's runner and its jobs run as. */
export interface RunnerUser {
  name: string;
  uid: number;
  gid: number;
}

const KILL_TIMEOUT_MS = 10_000;
const SETPRIV = '/usr/bin/setpriv';

/**
 * Finds a user by its name, or by its number (`1001`, `1001:1001`).
 *
 * @throws BatonError CONFIG_INVALID if there is none, it is root, or it cannot run Node
 */
export function findRunnerUser(name: string): RunnerUser {
  const user = readUser(name);
  if (user.uid === 0) throw invalid('jobs must not run as root');
  const { uid, gid } = user;
  const node = spawnSync(process.execPath, ['--version'], { uid, gid, cwd: '/', env: {} });
  if (node.status !== 0) throw invalid(`user ${name} cannot run ${process.execPath}, which the hook needs`);
  return user;
}

function readUser(name: string): RunnerUser {
  const [, uid, gid = uid] = /^(\d+)(?::(\d+))?$/.exec(name) ?? [];
  if (uid !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  try {
    const id = (option: string): number => Number(execFileSync('id', [option, '--', name], { stdio: 'pipe' }));
    return { name, uid: id('-u'), gid: id('-g') };
  } catch {
    throw invalid(`there is no user "${name}"`);
  }
}

function invalid(problem: string): BatonError {
  return new BatonError('CONFIG_INVALID', `reading the proxy’s options: --runner-user: ${problem}`);
}

/**
 * The command for a program that no setuid program (sudo) can give more rights, where the system has `setpriv`.
 *
 * @returns undefined where it has not
 */
export function withoutNewPrivileges(command: readonly string[]): string[] | undefined {
  return existsSync(SETPRIV) ? [SETPRIV, '--no-new-privs', '--', ...command] : undefined;
}

/**
 * Kills every process of that user. The kernel does it in one step, so that no process can fork its way out.
 *
 * @returns how many there were
 * @throws BatonError PROGRAM_FAILED if one is left after ten seconds
 */
export async function killUserProcesses({ name, uid, gid }: RunnerUser): Promise<number> {
  const found = listProcesses(uid);
  const until = Date.now() + KILL_TIMEOUT_MS;
  while (listProcesses(uid) > 0) {
    if (Date.now() > until)
      throw new BatonError('PROGRAM_FAILED', `killing the processes of user ${name}: some are left`);
    spawnSync('/bin/sh', ['-c', 'kill -KILL -1'], { uid, gid, cwd: '/', env: {}, stdio: 'ignore' });
    await sleep(20);
  }
  return found;
}

/** The number of a user's processes that have not ended. */
function listProcesses(uid: number): number {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const [, ...uids] = /^Uid:\t(\d+)\t(\d+)\t(\d+)/m.exec(status) ?? [];
      return uids.map(Number).includes(uid) && !/^State:\t[ZX]/m.test(status);
    } catch {
      return false;
    }
  }).length;
}
