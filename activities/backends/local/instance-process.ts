import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import type { InstanceEnding } from './instance-folder.ts';
import { identify, isAlive, MARKER, scanMarked, signalGroup, type ProcessIdentity } from './process-identity.ts';

/** From SIGTERM to SIGKILL: more than the agent needs to stop the forge's runner program and report its end. */
const TERM_GRACE_MS = 10_000;
/** How long the kernel may take to end killed processes. */
const KILL_TIMEOUT_MS = 5000;
const POLL_INTERVAL_MS = 25;

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
 * @throws BatonError INSTANCE_INVALID when the program can't be started
 */
export async function startInstanceProcess(
  folder: string,
  command: string[],
  env: Record<string, string>,
): Promise<StartedProcess> {
  const [file = '', ...args] = command;
  const log = await open(join(folder, 'log'), 'a', 0o600);
  try {
    const passedOn = PASSED_VARIABLES.flatMap((name) =>
      process.env[name] === undefined ? [] : [[name, process.env[name]]],
    );
    const child = spawn(file, args, {
      cwd: folder,
      env: { ...Object.fromEntries(passedOn), ...env, [MARKER]: folder },
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    // Read before the event loop can reap the child: a program that has already ended is then still in the process
    // table.
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    const ended = new Promise<InstanceEnding>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    child.unref();
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    if (identity === undefined) throw new Error('it has no process id');
    return { identity: { pid: identity.pid, started: identity.started }, ended, hasEnded: false };
  } catch (error) {
    throw new BatonError('INSTANCE_INVALID', `starting ${file} in ${folder}: ${getErrorMessage(error)}`, {
      cause: error,
    });
  } finally {
    await log.close();
  }
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
