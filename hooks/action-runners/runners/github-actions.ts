import { access } from 'node:fs/promises';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { bootstrapFile, type BootstrapFile } from '../../../contracts/messages/bootstrap-file.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import { hookEnv } from '../../agent/hook-settings.ts';
import { listenForHooks } from '../../agent/hook-socket.ts';
import { collectRegistrationSecrets } from '../../agent/registration-secrets.ts';
import { requestRegistration } from '../../agent/registration.ts';
import type { ActionRunner, CompletionOutput, ExecutionContext, StartOutput } from '../manager/action-runner.ts';
import { fired } from '../manager/timer.ts';
import type { RunnerConnection } from '../reporters/runner-connection.ts';
import { describeExit, startProgram, type RunningProgram } from './program.ts';

const PLACEHOLDER = '{jitconfig}';

/** Time to get a registration, milliseconds: then the instance gives up, and another can be made. */
const REGISTRATION_TIMEOUT_MS = 600_000;

export interface GithubActionsOptions {
  /** Opened with what the input says. */
  link: RunnerConnection;
  agentVersion: string;
  /** Where the hook scripts are. */
  scripts: string;
}

/**
 * Runs the forge's runner program for one job: asks for its registration over NATS, listens to its hooks, and waits for its
 * end. It succeeds when that program has ended, whatever its code: what became of the job, the forge and the hooks say.
 */
export class GithubActionsRunner implements ActionRunner<BootstrapFile> {
  readonly name = 'github-actions';
  readonly input = bootstrapFile;
  readonly #options: GithubActionsOptions;
  #process: RunningProgram | undefined;

  constructor(options: GithubActionsOptions) {
    this.#options = options;
  }

  async start(context: ExecutionContext, bootstrap: BootstrapFile): Promise<StartOutput> {
    const { link, agentVersion } = this.#options;
    const { runner, socket } = bootstrap;
    const { log, signal } = context;
    // First, so that it can be told what fails next.
    log.info({ version: agentVersion }, 'connecting to NATS');
    const opening = link.open(bootstrap);
    opening.catch(() => undefined);
    // Before a registration: an instance that can't hear its hooks must not take a job.
    await listenForHooks({ socket, runner, send: (said) => link.outbox.send(said), log }).catch((error: unknown) => {
      throw new BatonError('PROGRAM_FAILED', `listening for hooks at ${socket}: ${messageOf(error)}`);
    });
    const env = await this.#programEnv(bootstrap).catch((error: unknown) => {
      throw new BatonError('PROGRAM_FAILED', `writing the hooks’ settings: ${messageOf(error)}`);
    });
    const bus = await Promise.race([opening, fired(signal)]);
    signal.throwIfAborted();
    if (bus === undefined) throw new BatonError('INTERNAL', `connecting ${runner} to NATS: no connection`);
    const options = { runner, agentVersion, timeoutMs: REGISTRATION_TIMEOUT_MS, abort: signal, log };
    const jitConfig = await requestRegistration(bus, options);
    signal.throwIfAborted();
    const { program } = bootstrap;
    this.#process = await startProgram(context, {
      command: programCommand(program, jitConfig),
      title: program.command?.[0] ?? './run.sh',
      directory: await programFolder(program),
      env,
      secrets: [...collectRegistrationSecrets(jitConfig, bootstrap.credentials), ...(bootstrap.hooks?.secrets ?? [])],
    });
    return { status: { pid: this.#process.pid } };
  }

  async waitForCompletion(): Promise<CompletionOutput> {
    if (this.#process === undefined)
      throw new BatonError('INTERNAL', 'waiting for a runner program: it was never started');
    const exit = await this.#process.exited;
    return { succeeded: true, message: describeExit('the runner program', exit), exit };
  }

  /** The agent's own environment, less what led to the secrets, plus the way to the hooks. */
  async #programEnv(bootstrap: BootstrapFile): Promise<NodeJS.ProcessEnv> {
    const env: NodeJS.ProcessEnv = { ...process.env, ...(await hookEnv(bootstrap, this.#options.scripts)) };
    delete env[AGENT_ENV.bootstrap];
    return env;
  }
}

/**
 * What to run. Without `command`: `./run.sh --jitconfig CONFIG`. With it: `{jitconfig}` is replaced wherever it stands;
 * where it stands nowhere, `--jitconfig CONFIG` is appended. The forge's own runner takes its config in its arguments,
 * so whoever may list this instance's processes sees it there; it is good for one job, and used up when it is seen.
 */
function programCommand(program: BootstrapFile['program'], jitConfig: string): string[] {
  const command = program.command ?? ['./run.sh', '--jitconfig', PLACEHOLDER];
  if (!command.some((part) => part.includes(PLACEHOLDER))) return [...command, '--jitconfig', jitConfig];
  return command.map((part) => part.replaceAll(PLACEHOLDER, jitConfig));
}

/** The program's own folder. A `command` of another kind may not need it: where it doesn't exist, the agent's own. */
async function programFolder(program: BootstrapFile['program']): Promise<string> {
  const exists = await access(program.directory).then(
    () => true,
    () => false,
  );
  return exists || program.command === undefined ? program.directory : process.cwd();
}
