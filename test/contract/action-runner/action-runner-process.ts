import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { stringify } from 'yaml';

const CLI = fileURLToPath(new URL('../../../services/cli/main.ts', import.meta.url));

export interface ActionRunnerProcess {
  child: ChildProcess;
  /** `RUNNER_CONTEXT_NAME`. */
  name: string;
  output(): string;
  log(): string;
  exited: Promise<{ code: number | null; signal: string | null }>;
}

/**
 * Runs `baton action-runner` as a process, with only these variables in its environment.
 *
 * @param folder for the input manifest
 */
export function startActionRunner(
  runner: string,
  options: { folder: string; input: unknown; name?: string; args?: string[]; env?: Record<string, string> },
): ActionRunnerProcess {
  const name = options.name ?? `a-${randomUUID().slice(0, 8)}`;
  const manifest = join(options.folder, `${randomUUID()}.yaml`);
  writeFileSync(manifest, stringify(options.input), { mode: 0o600 });
  const child = spawn(process.execPath, [CLI, 'action-runner', runner, ...(options.args ?? [])], {
    env: {
      PATH: process.env['PATH'],
      HOME: options.folder,
      RUNNER_INPUT_MANIFEST_PATH: manifest,
      RUNNER_CONTEXT_NAME: name,
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  let output = '';
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  return {
    child,
    name,
    output: () => output,
    log: () => log,
    exited: new Promise((resolve) => {
      child.once('close', (code, signal) => {
        process.removeListener('exit', killAtExit);
        resolve({ code, signal });
      });
    }),
  };
}

/** Expects that it ends with that code; a failure shows its log. */
export async function expectExit(command: ActionRunnerProcess, code: number): Promise<void> {
  const exit = await command.exited;
  expect({ ...exit, log: exit.code === code ? '' : command.log() }).toEqual({ code, signal: null, log: '' });
}
