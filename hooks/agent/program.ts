import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootstrapFile } from '../../contracts/agent.ts';
import { BatonError, messageOf } from '../../contracts/errors.ts';
import { MaskedLines } from './mask.ts';

const PLACEHOLDER = '{jitconfig}';

/** After the program's end, how long its last output may still be on its way, milliseconds. */
const DRAIN_MS = 1000;

export interface ProgramExit {
  code: number | null;
  signal: string | null;
}

/** The forge's runner program, running. */
export interface RunningProgram {
  /** Resolves after its end, when its output has been passed on and nothing is left of its process group. */
  exited: Promise<ProgramExit>;
  /** SIGTERM to the program, then, `graceMs` later, SIGKILL to its whole group. */
  stop(graceMs: number): void;
}

/**
 * What to run. Without `command`: `./run.sh --jitconfig CONFIG`. With it: `{jitconfig}` is replaced wherever it stands;
 * where it stands nowhere, `--jitconfig CONFIG` is appended. The forge's own runner takes its config in its arguments,
 * so whoever may list this instance's processes sees it there; it is good for one job, and used up when it is seen.
 */
export function programCommand(program: BootstrapFile['program'], jitConfig: string): string[] {
  const command = program.command ?? ['./run.sh', '--jitconfig', PLACEHOLDER];
  if (!command.some((part) => part.includes(PLACEHOLDER))) return [...command, '--jitconfig', jitConfig];
  return command.map((part) => part.replaceAll(PLACEHOLDER, jitConfig));
}

/**
 * Starts the forge's runner program in `program.directory`, as a process group of its own.
 * A `command` of another kind may not need that folder: where it doesn't exist, it runs in the agent's own.
 *
 * @throws BatonError PROGRAM_FAILED when it can't be started
 */
export async function startProgram(options: {
  program: BootstrapFile['program'];
  jitConfig: string;
  secrets: readonly string[];
  env: NodeJS.ProcessEnv;
  /** Given its output, masked, by lines. */
  onOutput: (line: string) => void;
}): Promise<RunningProgram> {
  const { program } = options;
  const [file = '', ...args] = programCommand(program, options.jitConfig);
  const exists = await access(program.directory).then(
    () => true,
    () => false,
  );
  const cwd = exists || program.command === undefined ? program.directory : process.cwd();
  const child = spawn(file, args, { cwd, env: options.env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    const lines = new MaskedLines(options.secrets, options.onOutput);
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
      // The arguments are not told: one of them is the JIT config.
      const what = `starting ${program.command?.[0] ?? './run.sh'} in ${cwd}`;
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
  return {
    exited: exited.then(async (exit) => {
      // What the job left running holds the output open, and has no business any more.
      await Promise.race([closed, sleep(DRAIN_MS)]);
      signalGroup('SIGKILL');
      await Promise.race([closed, sleep(DRAIN_MS)]);
      return exit;
    }),
    stop(graceMs) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => signalGroup('SIGKILL'), graceMs);
      void exited.then(() => clearTimeout(timer));
    },
  };
}
