import { spawn } from 'node:child_process';
import { MaskedLines } from '../../lib/masked-lines.ts';

/** The command that runs one phase. */
export interface ChildCommand {
  file: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  /** Removes what the process leaves behind, such as a container. Called after a timeout or an abort. */
  afterKill?: () => Promise<unknown>;
}

export type ChildResult =
  { how: 'exited'; code: number } | { how: 'killed'; signal: string } | { how: 'timeout' } | { how: 'aborted' };

/** Between SIGTERM and SIGKILL. */
const STOP_GRACE_MS = 2000;

/** How long to wait for the last output after the end: background processes may keep it open. */
const DRAIN_TIMEOUT_MS = 500;

/**
 * Runs a command in its own process group for at most `timeoutMs`. Its background processes stay, unless it reached the
 * timeout: then the group receives SIGTERM, and SIGKILL later.
 *
 * @throws Error if it cannot be started
 */
export async function runChild(
  command: ChildCommand,
  { timeoutMs, abort, onLine }: { timeoutMs: number; abort: AbortSignal; onLine: (line: string) => void },
): Promise<ChildResult> {
  const child = spawn(command.file, command.args, {
    cwd: command.cwd,
    env: command.env,
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const drained = [child.stdout, child.stderr].map((stream) => {
    // Limits the length of a line, however much a wrapper prints without a line break.
    const lines = new MaskedLines([], (text) => {
      for (const line of text.replace(/\r?\n$/, '').split(/\r?\n/)) onLine(line);
    });
    stream.on('data', (chunk: Buffer) => lines.push(chunk));
    return new Promise<void>((resolve) => {
      stream.once('end', () => {
        lines.end();
        resolve();
      });
    });
  });
  const timers: NodeJS.Timeout[] = [];
  let stoppedBy: 'timeout' | 'aborted' | undefined;
  const stop = (reason: 'timeout' | 'aborted'): void => {
    stoppedBy ??= reason;
    signalGroup(child.pid, 'SIGTERM');
    timers.push(setTimeout(() => signalGroup(child.pid, 'SIGKILL'), STOP_GRACE_MS));
  };
  const onAbort = (): void => stop('aborted');
  try {
    const exit = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve({ code, signal }));
      timers.push(setTimeout(() => stop('timeout'), timeoutMs));
      abort.addEventListener('abort', onAbort, { once: true });
      if (abort.aborted) onAbort();
    });
    await Promise.race([
      Promise.all(drained),
      new Promise((resolve) => timers.push(setTimeout(resolve, DRAIN_TIMEOUT_MS))),
    ]);
    if (stoppedBy === undefined) {
      return exit.code === null ? { how: 'killed', signal: exit.signal ?? '' } : { how: 'exited', code: exit.code };
    }
    // The command has ended, but its children may have ignored SIGTERM.
    signalGroup(child.pid, 'SIGKILL');
    await command.afterKill?.().catch(() => undefined);
    return { how: stoppedBy };
  } finally {
    for (const timer of timers) clearTimeout(timer);
    abort.removeEventListener('abort', onAbort);
    child.stdout.destroy();
    child.stderr.destroy();
    child.unref();
  }
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal);
  } catch {
    // The group is gone.
  }
}
