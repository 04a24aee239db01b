import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BatonError } from '../../contracts/errors.ts';

const GUARD = fileURLToPath(new URL('guard.sh', import.meta.url));

export interface ChildPlan {
  /** Its name in messages. */
  name: string;
  command: string;
  args: string[];
  /** Its standard output and error are appended here. */
  logFile: string;
  cwd?: string | undefined;
  env?: NodeJS.ProcessEnv | undefined;
  /** Seconds between TERM and KILL. Default 10. */
  graceSeconds?: number | undefined;
}

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Child {
  readonly name: string;
  readonly logFile: string;
  /** The guard's process id; the program is its child. */
  readonly pid: number | undefined;
  readonly running: boolean;
  /** Resolves when the program has ended, for any reason. Never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Sends TERM, and KILL after the grace period; resolves when the program has ended. */
  stop(): Promise<ChildExit>;
  /** Sends KILL; resolves when the program has ended. */
  kill(): Promise<ChildExit>;
}

/**
 * Starts a program that never outlives this process, not even after `kill -9`. It has a session of its own: Ctrl-C on the
 * terminal reaches only this process, which stops its programs in the right order.
 */
export function startChild(plan: ChildPlan): Child {
  const grace = plan.graceSeconds ?? 10;
  mkdirSync(dirname(plan.logFile), { recursive: true });
  const log = openSync(plan.logFile, 'a', 0o600);
  const guard = spawn('/bin/sh', [GUARD, String(grace), plan.command, ...plan.args], {
    stdio: ['pipe', log, log],
    detached: true,
    cwd: plan.cwd,
    env: plan.env ?? process.env,
  });
  closeSync(log);
  let running = true;
  const exited = new Promise<ChildExit>((resolve) => {
    guard.once('error', () => {
      running = false;
      resolve({ code: 127, signal: null });
    });
    guard.once('exit', (code, signal) => {
      running = false;
      resolve({ code, signal });
    });
  });
  guard.stdin?.on('error', () => undefined);

  function signalGroup(signal: NodeJS.Signals): void {
    if (guard.pid === undefined || !running) return;
    try {
      process.kill(-guard.pid, signal);
    } catch {
      // The guard ended just before the signal.
    }
  }

  return {
    name: plan.name,
    logFile: plan.logFile,
    get pid() {
      return guard.pid;
    },
    get running() {
      return running;
    },
    exited,
    stop() {
      // At the end of its input the guard sends TERM, waits, and sends KILL.
      guard.stdin?.end();
      return exited;
    },
    kill() {
      signalGroup('SIGKILL');
      return exited;
    },
  };
}

/**
 * Waits until `ready` resolves true, asking every 50 ms.
 *
 * @throws BatonError SERVER_UNAVAILABLE when the child ends first or `timeoutMs` passes; with the end of its log
 */
export async function waitUntilReady(child: Child, ready: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (child.running) {
    if (await ready().catch(() => false)) return;
    if (Date.now() > deadline) {
      await child.kill();
      throw createStartError(child, `did not answer within ${timeoutMs / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { code, signal } = await child.exited;
  throw createStartError(child, `ended with ${signal ?? `exit code ${code}`}`);
}

function createStartError(child: Child, what: string): BatonError {
  const tail = readLogTail(child.logFile, 20);
  return new BatonError(
    'SERVER_UNAVAILABLE',
    `starting ${child.name}: it ${what}. The end of ${child.logFile}:\n${tail}`,
    {
      details: { name: child.name, logFile: child.logFile },
    },
  );
}

/** The last `lines` lines of a file; empty without such a file. */
export function readLogTail(file: string, lines: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  }
}
