import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HANDED_OVER } from '../../contracts/messages/proxy-env.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import type { HandOver } from './hand-over.ts';
import { killLeftover, recordProgram } from './leftover.ts';
import { REGISTRATION_TOKEN, type ProxyOptions, type ProxySecrets } from './options.ts';
import {
  clearWorkFolder,
  endConfiguration,
  openRunnerFolder,
  protectRunnerFolder,
  setConfigurationAside,
} from './runner-folder.ts';
import { RunnerProgram, type RunnerProgramExit } from './runner-program.ts';
import { killUserProcesses, type RunnerUser } from './runner-user.ts';

/**
 * Between a crash of the forge's runner and its next start; doubled each time, and reset after {@link STABLE_AFTER_MS}, or when it had
 * a job.
 */
const RESTART_DELAY_MS = { first: 1000, max: 300_000 };
const STABLE_AFTER_MS = 600_000;
/** How long the forge's runner may take to end, and to end its job. */
const STOP_GRACE_MS = 30_000;
/** Exit codes that are not a crash: it was stopped, or it handed its job over. */
const EXPECTED_EXIT_CODES = new Set([0, HANDED_OVER]);

export interface ProxyRunnerOptions {
  options: ProxyOptions & ProxySecrets;
  /** Undefined: the forge's runner and its jobs run as this process's own user. */
  user: RunnerUser | undefined;
  /** Of the forge's runner. */
  environment: NodeJS.ProcessEnv;
  handOver: HandOver;
  /** Where the process id of the forge's runner is recorded. */
  pidFile: string;
  log: Logger;
}

/**
 * A long-lived runner of the forge that runs no job itself: its hook hands each job over to an ephemeral runner. The forge's program
 * is ended with each job and started anew, after all that the job left behind is gone.
 */
export class ProxyRunner {
  readonly #options: ProxyRunnerOptions;
  #program: RunnerProgram | undefined;
  #startedAt: number | undefined;
  #restarts = 0;
  #leftovers = 0;
  /** The job's hook has its answer: the program was ended. */
  #isEnding = false;

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

  /** Processes that were killed because they outlived the forge's runner. */
  get leftovers(): number {
    return this.#leftovers;
  }

  /** Seconds since the forge's runner was last started; 0 while it is not running. */
  get uptimeS(): number {
    return this.#program && this.#startedAt !== undefined ? (performance.now() - this.#startedAt) / 1000 : 0;
  }

  /**
   * Registers with the forge, and replaces an earlier registration of the same name. Without a registration token, or where the forge
   * refuses it, an earlier configuration is used as it is. Then the runner's folder is protected from its user.
   *
   * @throws BatonError SECRET_MISSING if there is neither, PROGRAM_FAILED, CONFIG_INVALID
   */
  async configure(): Promise<void> {
    const { options, user, log, pidFile } = this.#options;
    const { directory, name, registrationToken } = options;
    if (await killLeftover(pidFile, realpathSync(directory))) {
      log.warn({ runner: name }, 'killed a runner that an earlier proxy left running');
    }
    await this.#clear();
    if (user !== undefined) protectRunnerFolder(directory, user);
    if (registrationToken !== undefined) {
      const hadOne = setConfigurationAside(directory);
      if (user !== undefined) openRunnerFolder(directory, user);
      try {
        await this.#register(registrationToken);
        endConfiguration(directory, 'new');
      } catch (error) {
        endConfiguration(directory, 'earlier');
        // After an hour, the token has expired that a container, say, is started with each time.
        if (!hadOne) throw error;
        log.warn(
          { runner: name, reason: getErrorMessage(error) },
          'could not register again: using the earlier configuration',
        );
      }
      await this.#clear();
      if (user !== undefined) protectRunnerFolder(directory, user);
    } else if (!existsSync(join(directory, '.runner'))) {
      const what = `configuring proxy ${name}: it has no configuration yet, and ${REGISTRATION_TOKEN} is not set`;
      throw new BatonError('SECRET_MISSING', what);
    }
  }

  async #register(token: string): Promise<void> {
    const { options, user, environment, log } = this.#options;
    const { directory, url, name, labels } = options;
    // An update would replace the programs, which only root may.
    const flags = ['--unattended', '--replace', '--disableupdate'];
    const args = ['--url', url, '--name', name, '--labels', labels.join(','), ...flags];
    await new Promise<void>((done, reject) => {
      // All users of the machine can see arguments; the forge's runner reads any of its options from such a variable too.
      const env = { ...environment, ACTIONS_RUNNER_INPUT_TOKEN: token };
      const settings = { cwd: directory, env, ...(user && { uid: user.uid, gid: user.gid }) };
      execFile(resolve(directory, 'config.sh'), args, settings, (error, stdout, stderr) => {
        if (error === null) return done();
        const output = `${stdout}${stderr}`.replaceAll(token, '***').trim().slice(-1000);
        const what = `configuring proxy ${name}: config.sh ended with ${error.code}: ${output}`;
        reject(new BatonError('PROGRAM_FAILED', what));
      });
    });
    log.info({ runner: name, url }, 'configured the forge’s runner');
  }

  /** Ends the forge's runner, and with it the job whose hook has its answer: no further step of the job may start here. */
  endAttempt(): void {
    if (this.#program === undefined || this.#isEnding) return;
    this.#isEnding = true;
    void this.#program.end(STOP_GRACE_MS);
  }

  /**
   * Runs the forge's runner until `stop` fires, or until it ends with an expected exit code by itself. Restarts it after each job, and
   * after a crash with growing delays.
   *
   * @returns its last exit code
   */
  async run(stop: AbortSignal): Promise<number> {
    const { log, options } = this.#options;
    for (let delayMs = RESTART_DELAY_MS.first; ;) {
      const exit = await this.#runOnce(stop);
      if (stop.aborted) return 0;
      if (this.#isEnding) {
        delayMs = RESTART_DELAY_MS.first;
        continue;
      }
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
      delayMs = Math.min(delayMs * 2, RESTART_DELAY_MS.max);
    }
  }

  async #runOnce(stop: AbortSignal): Promise<RunnerProgramExit> {
    const { options, user, environment, handOver, pidFile, log } = this.#options;
    const { name, directory } = options;
    handOver.begin();
    this.#isEnding = false;
    const program = new RunnerProgram({
      directory,
      env: environment,
      user,
      onLine: (line) => log.info({ runner: name, line }, 'output of the runner program'),
      onJob: () => handOver.jobStarted(),
    });
    this.#program = program;
    this.#startedAt = performance.now();
    const reason = recordProgram(pidFile, program.pid);
    if (reason !== undefined) log.warn({ runner: name, reason }, 'could not record the process of the forge’s runner');
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
    await this.#clear();
    await handOver.reportEnd();
    return exit;
  }

  /** Kills what a job left behind, and removes its files: nothing of it is there for the next one. */
  async #clear(): Promise<void> {
    const { user, options, log } = this.#options;
    if (user === undefined) return;
    const left = await killUserProcesses(user);
    this.#leftovers += left;
    if (left > 0) log.warn({ runner: options.name, count: left }, 'killed processes that a job left behind');
    clearWorkFolder(options.directory);
  }
}
