import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { InstanceEnding } from './instance-folder.ts';
import { type ProcessIdentity, identify } from './identify.ts';
import { isAlive, MARKER, scanMarked, signalGroup } from './process-identity.ts';
import type { Spawner } from './spawner.ts';

/** From SIGTERM to SIGKILL: more than the agent needs to stop the forge's runner program and report its end. */
const TERM_GRACE_MS = 10_000;
/** How long the kernel may take to end killed processes. */
const KILL_TIMEOUT_MS = 5000;
const POLL_INTERVAL_MS = 25;
/** How often a process is looked at whose spawner has ended. */
const LOST_POLL_INTERVAL_MS = 500;

/** The variables that instances inherit from this process: enough to find programs, and no secret. */
const PASSED_VARIABLES = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

/** A process started by this backend process, which learns of its end at once. */
export interface StartedProcess {
  identity: ProcessIdentity;
  ended: Promise<InstanceEnding>;
  hasEnded: boolean;
}

/**
 * Starts a detached process group in an instance's folder, and appends its output to `log` there. It outlives this
 * process.
 *
 * @throws BatonError INSTANCE_INVALID when the program can't be started; BACKEND_UNAVAILABLE when the spawner has ended
 */
export async function startInstanceProcess(
  spawner: Spawner,
  folder: string,
  command: string[],
  env: Record<string, string>,
): Promise<StartedProcess> {
  const [file = '', ...args] = command;
  const passedOn = PASSED_VARIABLES.flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  try {
    const { identity, ended } = await spawner.start({
      file,
      args,
      cwd: folder,
      env: { ...Object.fromEntries(passedOn), ...env, [MARKER]: folder },
      log: join(folder, 'log'),
    });
    return { identity, ended: ended.then((ending) => ending ?? waitUntilGone(identity)), hasEnded: false };
  } catch (error) {
    if (error instanceof BatonError) throw error;
    throw new BatonError('INSTANCE_INVALID', `starting ${file} in ${folder}: ${getErrorMessage(error)}`, {
      cause: error,
    });
  }
}

/** For a process whose end nobody observes. */
async function waitUntilGone(identity: ProcessIdentity): Promise<InstanceEnding> {
  while (isAlive(identity)) await sleep(LOST_POLL_INTERVAL_MS, undefined, { ref: false });
  return { code: null, signal: null };
}

/** Ends a process group with SIGTERM and, after a grace period, SIGKILL; resolves when its leader has ended. */
export async function endProcess(leader: ProcessIdentity, ended?: Promise<unknown>): Promise<void> {
  signalGroup(leader, 'SIGTERM');
  if (await waitForEnd(leader, TERM_GRACE_MS, ended)) return;
  signalGroup(leader, 'SIGKILL');
  await waitForEnd(leader, KILL_TIMEOUT_MS, ended);
}

/**
 * Kills all processes that an instance's processes have left behind, in any process group. They are recognised by the
 * folder's name in their environment; a process that cleared its environment is not found.
 *
 * @throws BatonError BACKEND_UNAVAILABLE when a process can't be killed
 */
export async function killStragglers(folder: string): Promise<void> {
  const deadline = Date.now() + KILL_TIMEOUT_MS;
  for (;;) {
    const pids = (await scanMarked()).get(folder) ?? [];
    if (pids.length === 0) return;
    if (Date.now() > deadline) {
      throw new BatonError('BACKEND_UNAVAILABLE', `ending the processes of ${folder}: ${pids.join(', ')} don't end`);
    }
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await sleep(POLL_INTERVAL_MS);
  }
}

/**
 * Finds the first process of an instance whose backend process died before it could record the process it had started.
 */
export async function findOrphan(folder: string): Promise<ProcessIdentity | undefined> {
  const pids = (await scanMarked()).get(folder) ?? [];
  const found = pids.map(identify).filter((process) => process !== undefined);
  // Its descendants have the marker too: the first process is the one whose parent doesn't.
  const first = found.find((process) => !pids.includes(process.parent));
  return first && { pid: first.pid, started: first.started };
}

async function waitForEnd(leader: ProcessIdentity, withinMs: number, ended?: Promise<unknown>): Promise<boolean> {
  if (ended) return Promise.race([ended.then(() => true), sleep(withinMs, false, { ref: false })]);
  const deadline = Date.now() + withinMs;
  while (isAlive(leader)) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_INTERVAL_MS);
  }
  return true;
}
