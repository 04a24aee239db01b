import { spawn } from 'node:child_process';
import { MaskedLines } from '../../lib/masked-lines.ts';

/** What is run for one phase. */
export interface ChildCommand {
  file: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  /** Undoes what the process's end leaves, e.g. a container; called after a time bound or an abort. */
  afterKill?: () => Promise<unknown>;
}

export type ChildResult =
  { how: 'exited'; code: number } | { how: 'killed'; signal: string } | { how: 'timeout' } | { how: 'aborted' };

/** Between SIGTERM and SIGKILL, milliseconds. */
const GRACE_MS = 2000;

/** Background processes may hold the output open: it is not waited for longer than this after the end, milliseconds. */
const DRAIN_MS = 500;

/**
 * Runs a command as a process group of its own, at most `timeoutMs` long. What it started in the background stays, unless its
 * time was over: then the group is ended, politely first.
 *
 * @throws Error where it can't be started
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
    // Bounds a line that does not end, however much a wrapper prints.
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
  let cut: 'timeout' | 'aborted' | undefined;
  const end = (why: 'timeout' | 'aborted'): void => {
    cut ??= why;
    signalGroup(child.pid, 'SIGTERM');
    timers.push(setTimeout(() => signalGroup(child.pid, 'SIGKILL'), GRACE_MS));
  };
  const onAbort = (): void => end('aborted');
  try {
    const exit = await new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve({ code, signal }));
      timers.push(setTimeout(() => end('timeout'), timeoutMs));
      abort.addEventListener('abort', onAbort, { once: true });
      if (abort.aborted) onAbort();
    });
    await Promise.race([Promise.all(drained), new Promise((resolve) => timers.push(setTimeout(resolve, DRAIN_MS)))]);
    if (cut === undefined) {
      return exit.code === null ? { how: 'killed', signal: exit.signal ?? '' } : { how: 'exited', code: exit.code };
    }
    // Its leader is gone, but what it started may have taken no notice.
    signalGroup(child.pid, 'SIGKILL');
    await command.afterKill?.().catch(() => undefined);
    return { how: cut };
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
    // Nothing is left of it.
  }
}
