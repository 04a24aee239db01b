import { access, readFile } from 'node:fs/promises';
import { AGENT_ENV } from '../../../contracts/messages/agent-env.ts';
import { bootstrapFile, type BootstrapFile } from '../../../contracts/messages/bootstrap-file.ts';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { createHookEnv } from '../../agent/hook-settings.ts';
import { listenForHooks } from '../../agent/hook-socket.ts';
import { collectRegistrationSecrets } from '../../agent/registration-secrets.ts';
import { requestRegistration } from '../../agent/registration.ts';
import type { ActionRunner, CompletionOutput, ExecutionContext, StartOutput } from '../manager/action-runner.ts';
import { waitForAbort } from '../manager/timer.ts';
import type { RunnerConnection } from '../reporters/runner-connection.ts';
import { describeExit, startProgram, type RunningProgram } from './program.ts';

const PLACEHOLDER = '{jitconfig}';
const JIT_CONFIG_VARIABLE = 'ACTIONS_RUNNER_INPUT_JITCONFIG';

/** How long to wait for a registration where the bootstrap file doesn't say it. */
const REGISTRATION_TIMEOUT_MS = 600_000;
/** At the end of the time to start its workflow removes the instance: only where nothing of Baton runs, the agent gives up itself. */
const REMOVAL_MS = 120_000;

export interface GithubActionsOptions {
  /** Opened with the input's server and credential. */
  connection: RunnerConnection;
  agentVersion: string;
  /** The folder of the hook scripts. */
  scripts: string;
}

/**
 * Runs the forge's runner program for one job: requests its registration over NATS, listens for its hooks, and waits
 * for its end. Succeeds when the program has ended, whatever its exit code: the forge and the hooks report the job's
 * result.
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
    const { connection, agentVersion } = this.#options;
    const { runner, socket } = bootstrap;
    const { log, signal } = context;
    // First, so that a failure of the next steps can be reported.
    log.info({ version: agentVersion }, 'connecting to NATS');
    const opening = connection.open(bootstrap);
    opening.catch(() => undefined);
    await requireSafe();
    // Before the registration: an instance that cannot receive signals from its hooks must not take a job.
    await listenForHooks({ socket, runner, send: (message) => connection.outbox.send(message), log }).catch(
      (error: unknown) => {
        throw new BatonError('PROGRAM_FAILED', `listening for hooks at ${socket}: ${getErrorMessage(error)}`);
      },
    );
    const env = await this.#createEnv(bootstrap).catch((error: unknown) => {
      throw new BatonError('PROGRAM_FAILED', `writing the hook settings: ${getErrorMessage(error)}`);
    });
    const bus = await Promise.race([opening, waitForAbort(signal)]);
    signal.throwIfAborted();
    if (bus === undefined) throw new BatonError('INTERNAL', `connecting ${runner} to NATS: no connection`);
    const options = { runner, agentVersion, timeoutMs: computeRegistrationTimeout(bootstrap), abort: signal, log };
    const jitConfig = await requestRegistration(bus, options);
    signal.throwIfAborted();
    const { program } = bootstrap;
    const { command, env: secretEnv } = buildCommand(program, jitConfig);
    this.#process = await startProgram(context, {
      command,
      title: program.command?.[0] ?? './run.sh',
      directory: await findFolder(program),
      env: { ...env, ...secretEnv },
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

  /** The agent's environment, without the bootstrap file's path, and with what the hooks need. */
  async #createEnv(bootstrap: BootstrapFile): Promise<NodeJS.ProcessEnv> {
    const env: NodeJS.ProcessEnv = { ...process.env, ...(await createHookEnv(bootstrap, this.#options.scripts)) };
    delete env[AGENT_ENV.bootstrap];
    return env;
  }
}

/**
 * The machine's bootstrap may have found that no job may run there.
 *
 * @throws BatonError INSTANCE_UNSAFE
 */
async function requireSafe(): Promise<void> {
  const file = process.env[AGENT_ENV.refusal];
  if (file === undefined) return;
  const refusal = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    return `it cannot be read why no job may run here: ${getErrorMessage(error)}`;
  });
  if (refusal !== undefined) throw new BatonError('INSTANCE_UNSAFE', `INSTANCE_UNSAFE: ${refusal.trim()}`);
}

/**
 * The command to run, by default `./run.sh`, and what hands it the JIT config: where a part of `command` contains `{jitconfig}`, that part;
 * else the variable that GitHub's runner reads and removes before it starts a job (actions/runner, CommandSettings.cs). All users of
 * the instance can see a program's arguments, only its own user its environment.
 */
function buildCommand(
  program: BootstrapFile['program'],
  jitConfig: string,
): { command: string[]; env: NodeJS.ProcessEnv } {
  const command = program.command ?? ['./run.sh'];
  if (!command.some((part) => part.includes(PLACEHOLDER)))
    return { command, env: { [JIT_CONFIG_VARIABLE]: jitConfig } };
  return { command: command.map((part) => part.replaceAll(PLACEHOLDER, jitConfig)), env: {} };
}

/** The program's folder. A `command` may not need it: if it does not exist, the agent's own folder. */
async function findFolder(program: BootstrapFile['program']): Promise<string> {
  const exists = await access(program.directory).then(
    () => true,
    () => false,
  );
  return exists || program.command === undefined ? program.directory : process.cwd();
}

/** How long to wait for a registration: until the runner's time to start is over, by the clock that wrote the bootstrap file. */
function computeRegistrationTimeout({ startBy, madeAt }: BootstrapFile): number {
  if (startBy === undefined || madeAt === undefined) return REGISTRATION_TIMEOUT_MS;
  return Math.max(0, new Date(startBy).getTime() - new Date(madeAt).getTime()) + REMOVAL_MS;
}
