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

/** Between a crash of the forge's runner and its next start; doubled each time, from the first after a long life. */
const RESTART_MS = { first: 1000, most: 300_000 };
const LONG_LIFE_MS = 600_000;
/** For the forge's runner to end when it has no job, milliseconds. */
const STOP_GRACE_MS = 30_000;
/** Ends that are not a crash: it was told to end, or handed over. */
const WANTED_ENDS = new Set([0, HANDED_OVER]);

export interface ProxyRunnerOptions {
  options: ProxyOptions & ProxySecrets;
  /** The folder of the two hook scripts. */
  hooks: string;
  /** The hooks' shared state. */
  stateFile: string;
  log: Logger;
}

/** A long-lived runner of the forge that does no job itself: its hooks hand each one over. */
export class ProxyRunner {
  readonly #given: ProxyRunnerOptions;
  #program: RunnerProgram | undefined;
  #startedAt: number | undefined;
  #restarts = 0;

  constructor(given: ProxyRunnerOptions) {
    this.#given = given;
  }

  /** Whether the forge's runner runs just now. */
  get running(): boolean {
    return this.#program !== undefined;
  }

  get busy(): boolean {
    return this.#program?.busy ?? false;
  }

  /** How often it had to be started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Since the forge's runner was last started, seconds; 0 while it does not run. */
  get uptimeS(): number {
    return this.#program && this.#startedAt !== undefined ? (performance.now() - this.#startedAt) / 1000 : 0;
  }

  /**
   * Registers with the forge, in place of an earlier registration of that name. Without a registration token an earlier
   * configuration is used as it is.
   *
   * @throws BatonError SECRET_MISSING where there is neither, PROGRAM_FAILED
   */
  async configure(): Promise<void> {
    const { options, log, stateFile } = this.#given;
    if (await killLeftover(`${stateFile}.pid`, realpathSync(options.directory))) {
      log.warn({ runner: options.name }, 'ended a runner that an earlier proxy left behind');
    }
    const { directory, url, name, labels, registrationToken: token } = options;
    if (token === undefined) {
      if (existsSync(join(directory, '.runner'))) return;
      const what = `configuring proxy ${name}: it was never configured, and ${REGISTRATION_TOKEN} is not set`;
      throw new BatonError('SECRET_MISSING', what);
    }
    const args = ['--url', url, '--token', token, '--name', name, '--labels', labels.join(',')];
    await new Promise<void>((done, reject) => {
      const settings = { cwd: directory, env: this.#environment() };
      execFile(
        resolve(directory, 'config.sh'),
        [...args, '--unattended', '--replace'],
        settings,
        (error, stdout, stderr) => {
          if (error === null) return done();
          // The error's own message names the command with its token.
          const said = `${stdout}${stderr}`.replaceAll(token, '***').trim().slice(-1000);
          reject(
            new BatonError('PROGRAM_FAILED', `configuring proxy ${name}: config.sh ended with ${error.code}: ${said}`),
          );
        },
      );
    });
    log.info({ runner: name, url }, 'configured');
  }

  /**
   * Runs the forge's runner until `stop` fires or it ends as it should; a crash is followed by the next start, ever later.
   *
   * @returns its last exit code
   */
  async run(stop: AbortSignal): Promise<number> {
    const { log, options } = this.#given;
    for (let pause = RESTART_MS.first; ; pause = Math.min(pause * 2, RESTART_MS.most)) {
      const exit = await this.#runOnce(stop);
      if (stop.aborted) return 0;
      if (exit.code !== null && WANTED_ENDS.has(exit.code)) {
        log.info({ runner: options.name, exitCode: exit.code }, 'the forge’s runner ended');
        return exit.code;
      }
      if (this.#startedAt !== undefined && performance.now() - this.#startedAt > LONG_LIFE_MS) pause = RESTART_MS.first;
      log.warn(
        { runner: options.name, exitCode: exit.code, signal: exit.signal, ms: pause },
        'the forge’s runner crashed',
      );
      await sleep(pause, undefined, { signal: stop }).catch(() => undefined);
      if (stop.aborted) return 0;
      this.#restarts += 1;
    }
  }

  async #runOnce(stop: AbortSignal): Promise<RunnerProgramExit> {
    const { options, log } = this.#given;
    const { name, directory } = options;
    const program = new RunnerProgram(resolve(directory, 'run.sh'), {
      cwd: directory,
      env: this.#environment(),
      onLine: (line) => log.info({ runner: name, line }, 'runner program'),
    });
    this.#program = program;
    this.#startedAt = performance.now();
    const pidFile = `${this.#given.stateFile}.pid`;
    mkdirSync(dirname(pidFile), { recursive: true });
    recordProgram(pidFile, program.pid);
    const end = (): void => {
      if (program.busy) log.info({ runner: name }, 'finishing the job in hand');
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

  /** Our own environment, less what only we need, plus what the hooks need. */
  #environment(): NodeJS.ProcessEnv {
    const { options, hooks, stateFile } = this.#given;
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
      // Else run.sh keeps a SIGTERM to itself.
      RUNNER_MANUALLY_TRAP_SIG: '1',
    };
  }
}
