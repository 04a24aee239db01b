import { z } from 'zod';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { BatonError } from '../../../contracts/errors.ts';
import type { ActionRunner, CompletionOutput, ExecutionContext, StartOutput } from '../manager/action-runner.ts';
import { describeExit, startProgram, type RunningProgram } from './program.ts';
import { collectSecretValues } from './secret-values.ts';

/** How each shell is called. As in GitHub's `run` steps, it ends at the first command that fails. */
const SHELLS = {
  sh: (script: string) => ['sh', '-e', '-c', script],
  bash: (script: string) => ['bash', '--noprofile', '--norc', '-e', '-o', 'pipefail', '-c', script],
  pwsh: (script: string) => [
    'pwsh',
    '-NoProfile',
    '-NonInteractive',
    '-Command',
    `$ErrorActionPreference = 'stop'\n${script}`,
  ],
};

const input = z.strictObject({
  /** The script that the shell runs. */
  script: z.string().min(1),
  shell: z.enum(['sh', 'bash', 'pwsh']).default('sh'),
  /** The working directory. Default: the Manager's. */
  directory: z.string().min(1).optional(),
  /** Added to the Manager's environment. */
  env: z.record(z.string().min(1), z.string()).default({}),
  /** Names of environment variables whose values are masked in the output. */
  secrets: z.array(z.string().min(1)).default([]),
});

type ShellInput = z.infer<typeof input>;

/** Runs a script. Succeeds if it ends with code 0. */
export class ShellRunner implements ActionRunner<ShellInput> {
  readonly name = 'shell';
  readonly input = input;
  #process: RunningProgram | undefined;

  async start(context: ExecutionContext, given: ShellInput): Promise<StartOutput> {
    const env: NodeJS.ProcessEnv = { ...process.env, ...given.env, RUNNER_CONTEXT_NAME: context.name };
    // The script must not use the Manager's credential.
    delete env[AGENT_ENV.natsCredentials];
    this.#process = await startProgram(context, {
      command: SHELLS[given.shell](given.script),
      title: given.shell,
      directory: given.directory ?? process.cwd(),
      env,
      secrets: collectSecretValues(given.secrets, env),
    });
    return { status: { pid: this.#process.pid } };
  }

  async waitForCompletion(): Promise<CompletionOutput> {
    if (this.#process === undefined) throw new BatonError('INTERNAL', 'waiting for a script: it was never started');
    const exit = await this.#process.exited;
    return { succeeded: exit.code === 0, message: describeExit('the script', exit), exit };
  }
}
