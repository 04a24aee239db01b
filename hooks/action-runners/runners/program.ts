import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import { MaskedLines } from '../../lib/masked-lines.ts';
import { STOP_GRACE_MS, type ExecutionContext, type ProgramExit } from '../manager/action-runner.ts';

/** After the program's end, how long its last output may still be on its way, milliseconds. */
const DRAIN_MS = 1000;

/** A program that an ActionRunner started, running. */
export interface RunningProgram {
  pid: number;
  /** Resolves after its end, when its output has been passed on and nothing is left of its process group. */
  exited: Promise<ProgramExit>;
}

/**
 * Starts a program as a process group of its own. When the context's signal fires, it gets SIGTERM, and its whole group
 * SIGKILL after {@link STOP_GRACE_MS}.
 *
 * @throws BatonError PROGRAM_FAILED when it can't be started
 */
export async function startProgram(
  context: ExecutionContext,
  options: {
    /** The program and its arguments. They are not told in errors: one may be a secret. */
    command: readonly string[];
    /** What stands in errors for the command. */
    title: string;
    directory: string;
    env: NodeJS.ProcessEnv;
    /** Texts that are masked in its output. */
    secrets: readonly string[];
  },
): Promise<RunningProgram> {
  const [file = '', ...args] = options.command;
  const { directory, env } = options;
  // A secret inside another must not leave the rest of it standing.
  const secrets = options.secrets.toSorted((a, b) => b.length - a.length);
  const child = spawn(file, args, { cwd: directory, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    const lines = new MaskedLines(secrets, (text) => context.output(text));
    stream.on('data', (chunk: Buffer) => lines.push(chunk));
    stream.on('end', () => lines.end());
  }
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const exited = new Promise<ProgramExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      const what = `starting ${options.title} in ${directory}`;
      reject(new BatonError('PROGRAM_FAILED', `${what}: ${messageOf(error)}`));
    });
  });
  const signalGroup = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // Nothing is left of the group.
    }
  };
  const stop = (): void => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => signalGroup('SIGKILL'), STOP_GRACE_MS);
    void exited.then(() => clearTimeout(timer));
  };
  context.signal.addEventListener('abort', stop);
  if (context.signal.aborted) stop();
  return {
    pid: child.pid ?? 0,
    exited: exited.then(async (exit) => {
      context.signal.removeEventListener('abort', stop);
      // What the program left running holds the output open, and has no business any more.
      await Promise.race([closed, sleep(DRAIN_MS)]);
      signalGroup('SIGKILL');
      await Promise.race([closed, sleep(DRAIN_MS)]);
      return exit;
    }),
  };
}

/** One clause for a person: how a program ended. */
export function describeExit(title: string, exit: ProgramExit): string {
  return exit.signal === null ? `${title} ended with code ${exit.code}` : `${title} ended by ${exit.signal}`;
}
