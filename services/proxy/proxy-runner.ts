import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HANDED_OVER, PROXY_ENV } from '../../contracts/messages/proxy-env.ts';
import { BatonError } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { killLeftover, recordProgram } from './leftover.ts';
import type { ProxyOptions, ProxySecrets } from './options.ts';
import { RunnerProgram, type RunnerProgramExit } from './runner-program.ts';
import { REGISTRATION_TOKEN } from './options.ts';

/**
 * Between a crash of the forge's runner and its next start; doubled each time, and reset after {@link STABLE_AFTER_MS}.
 */
const RESTART_DELAY_MS = { first: 1000, max: 300_000 };
const STABLE_AFTER_MS = 600_000;
/** How long the forge's runner may take to end when it has no job. */
const STOP_GRACE_MS = 30_000;
/** Exit codes that are not a crash: it was stopped, or it handed its job over. */
const EXPECTED_EXIT_CODES = new Set([0, HANDED_OVER]);

export interface ProxyRunnerOptions {
  options: ProxyOptions & ProxySecrets;
  /** The folder of the two hook scripts. */
  hooks: string;
  /** The hooks' shared state. */
  stateFile: string;
  log: Logger;
}

/** A long-lived runner of the forge that runs no job itself: its hooks hand each job over to an ephemeral runner. */
export class ProxyRunner {
  readonly #options: ProxyRunnerOptions;
  #program: RunnerProgram | undefined;
  #startedAt: number | undefined;
  #restarts = 0;

  constructor(options: ProxyRunnerOptions) {
    this.#options = options;
  }

  /** Whether the forge's runner is running now. */
  get running(): boolean {
    return this.#program !== undefined;
  }

  get busy(): boolean {
    return this.#program?.busy ?? false;
  }

  /** How often the forge's runner was restarted after a crash. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Seconds since the forge's runner was last started; 0 while it is not running. */
  get uptimeS(): number {
    return this.#program && this.#startedAt !== undefined ? (performance.now() - this.#startedAt) / 1000 : 0;
  }

  /**
   * Registers with the forge, and replaces an earlier registration of the same name. Without a registration token, an
   * earlier configuration is used as it is.
   *
   * @throws BatonError SECRET_MISSING if there is neither, PROGRAM_FAILED
   */
  async configure(): Promise<void> {
    const { options, log, stateFile } = this.#options;
    if (await killLeftover(`${stateFile}.pid`, realpathSync(options.directory))) {
      log.warn({ runner: options.name }, 'killed a runner that an earlier proxy left running');
    }
    const { directory, url, name, labels, registrationToken: token } = options;
    if (token === undefined) {
      if (existsSync(join(directory, '.runner'))) return;
      const what = `configuring proxy ${name}: it has no configuration yet, and ${REGISTRATION_TOKEN} is not set`;
      throw new BatonError('SECRET_MISSING', what);
    }
    const args = ['--url', url, '--name', name, '--labels', labels.join(',')];
    await new Promise<void>((done, reject) => {
      // All users of the machine can see arguments; the forge's runner reads any of its options from such a variable too.
      const settings = { cwd: directory, env: { ...this.#environment(), ACTIONS_RUNNER_INPUT_TOKEN: token } };
      execFile(
        resolve(directory, 'config.sh'),
        [...args, '--unattended', '--replace'],
        settings,
        (error, stdout, stderr) => {
          if (error === null) return done();
          const output = `${stdout}${stderr}`.replaceAll(token, '***').trim().slice(-1000);
          reject(
            new BatonError(
              'PROGRAM_FAILED',
              `configuring proxy ${name}: config.sh ended with ${error.code}: ${output}`,
            ),
          );
        },
      );
    });
    log.info({ runner: name, url }, 'configured the forge’s runner');
  }

  /**
   * Runs the forge's runner until `stop` fires, or until it ends with an expected exit code. Restarts it after a crash,
   * with growing delays.
   *
   * @returns its last exit code
   */
  async run(stop: AbortSignal): Promise<number> {
    const { log, options } = this.#options;
    for (let delayMs = RESTART_DELAY_MS.first; ; delayMs = Math.min(delayMs * 2, RESTART_DELAY_MS.max)) {
      const exit = await this.#runOnce(stop);
      if (stop.aborted) return 0;
      if (exit.code !== null && EXPECTED_EXIT_CODES.has(exit.code)) {
        log.info({ runner: options.name, exitCode: exit.code }, 'the forge’s runner ended');
        return exit.code;
      }
      if (this.#startedAt !== undefined && performance.now() - this.#startedAt > STABLE_AFTER_MS)
        delayMs = RESTART_DELAY_MS.first;
      log.warn(
        { runner: options.name, exitCode: exit.code, signal: exit.signal, ms: delayMs },
        'the forge’s runner crashed',
      );
      await sleep(delayMs, undefined, { signal: stop }).catch(() => undefined);
      if (stop.aborted) return 0;
      this.#restarts += 1;
    }
  }

  async #runOnce(stop: AbortSignal): Promise<RunnerProgramExit> {
    const { options, log } = this.#options;
    const { name, directory } = options;
    const program = new RunnerProgram(resolve(directory, 'run.sh'), {
      cwd: directory,
      env: this.#environment(),
      onLine: (line) => log.info({ runner: name, line }, 'output of the runner program'),
    });
    this.#program = program;
    this.#startedAt = performance.now();
    const pidFile = `${this.#options.stateFile}.pid`;
    mkdirSync(dirname(pidFile), { recursive: true });
    recordProgram(pidFile, program.pid);
    const end = (): void => {
      if (program.busy) log.info({ runner: name }, 'waiting for the current job to finish');
      void program.stop(STOP_GRACE_MS);
    };
    stop.addEventListener('abort', end);
    if (stop.aborted) end();
    const exit = await program.exited;
    stop.removeEventListener('abort', end);
    this.#program = undefined;
    recordProgram(pidFile, undefined);
    return exit;
  }

  /** This process's environment, without the registration token, and with what the hooks need. */
  #environment(): NodeJS.ProcessEnv {
    const { options, hooks, stateFile } = this.#options;
    const { [REGISTRATION_TOKEN]: _ours, ...env } = process.env;
    return {
      ...env,
      ACTIONS_RUNNER_HOOK_JOB_STARTED: resolve(hooks, 'job-started.sh'),
      ACTIONS_RUNNER_HOOK_JOB_COMPLETED: resolve(hooks, 'job-completed.sh'),
      [PROXY_ENV.orchestratorUrl]: options['orchestrator-url'],
      [PROXY_ENV.token]: options.token,
      [PROXY_ENV.labels]: options.labels.join(','),
      [PROXY_ENV.state]: resolve(stateFile),
      BATON_NODE: process.execPath,
      // Otherwise run.sh does not pass SIGTERM on.
      RUNNER_MANUALLY_TRAP_SIG: '1',
    };
  }
}
