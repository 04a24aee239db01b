import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { MaskedLines } from '../../lib/masked-lines.ts';
import { STOP_GRACE_MS, type ExecutionContext, type ProgramExit } from '../manager/action-runner.ts';

/** How long to wait for the last output after the program's end. */
const DRAIN_TIMEOUT_MS = 1000;

/** A running program that an ActionRunner started. */
export interface RunningProgram {
  pid: number;
  /** Resolves after its end, when its output has been passed on and its process group is gone. */
  exited: Promise<ProgramExit>;
}

/**
 * Starts a program in its own process group. When the context's signal fires, the program receives SIGTERM and, after
 * {@link STOP_GRACE_MS}, its whole group SIGKILL.
 *
 * @throws BatonError PROGRAM_FAILED if it cannot be started
 */
export async function startProgram(
  context: ExecutionContext,
  options: {
    /** The program and its arguments. Errors do not quote them: an argument may be a secret. */
    command: readonly string[];
    /** What errors call the command. */
    title: string;
    directory: string;
    env: NodeJS.ProcessEnv;
    /** Texts to mask in its output. */
    secrets: readonly string[];
  },
): Promise<RunningProgram> {
  const [file = '', ...args] = options.command;
  const { directory, env } = options;
  // Longest first: masking a secret that is part of a longer one would leave the rest of the longer one readable.
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
      reject(new BatonError('PROGRAM_FAILED', `${what}: ${getErrorMessage(error)}`));
    });
  });
  const signalGroup = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group is gone.
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
      // Processes that the program left running keep the output open. They are of no use any more.
      await Promise.race([closed, sleep(DRAIN_TIMEOUT_MS)]);
      signalGroup('SIGKILL');
      await Promise.race([closed, sleep(DRAIN_TIMEOUT_MS)]);
      return exit;
    }),
  };
}

/** How a program ended, as one clause for people. */
export function describeExit(title: string, exit: ProgramExit): string {
  return exit.signal === null ? `${title} ended with code ${exit.code}` : `${title} was killed by ${exit.signal}`;
}
