import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { withoutNewPrivileges, type RunnerUser } from './runner-user.ts';

export interface RunnerProgramExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface RunnerProgramOptions {
  /** The folder of the forge's runner. */
  directory: string;
  env: NodeJS.ProcessEnv;
  user: RunnerUser | undefined;
  /** Receives what it prints, line by line. */
  onLine: (line: string) => void;
  /** It has a job. */
  onJob: () => void;
}

/** The lines that the forge's runner prints when it starts a job, and when it has completed it. */
const JOB_STARTED = /: Running job: /;
const JOB_COMPLETED = /: Job .* completed with result: /;

/**
 * The running program of the forge's runner and all its child processes: GitHub's listener where there is one, because its `run.sh`
 * writes to the folder of the programs; else `run.sh`.
 */
export class RunnerProgram {
  readonly exited: Promise<RunnerProgramExit>;
  readonly #child: ChildProcess;
  readonly #endSignal: NodeJS.Signals;
  readonly #onIdle: (() => void)[] = [];
  #busy = false;

  constructor({ directory, env, user, onLine, onJob }: RunnerProgramOptions) {
    const listener = resolve(directory, 'bin/Runner.Listener');
    const isListener = existsSync(listener);
    const command = isListener ? [listener, 'run'] : [resolve(directory, 'run.sh')];
    // The listener takes SIGINT for a shutdown, and ends its job then. `run.sh` passes SIGTERM on as that.
    this.#endSignal = isListener ? 'SIGINT' : 'SIGTERM';
    const [program = '', ...args] = (user && withoutNewPrivileges(command)) ?? command;
    this.#child = spawn(program, args, {
      cwd: directory,
      env,
      // A process group of its own: Ctrl-C on a terminal reaches only this process, which decides when the program ends.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(user && { uid: user.uid, gid: user.gid }),
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        if (JOB_STARTED.test(line)) {
          this.#busy = true;
          onJob();
        } else if (JOB_COMPLETED.test(line)) this.#idle();
        onLine(line);
      });
    }
    this.exited = new Promise((resolve) => {
      this.#child.once('error', () => resolve({ code: 127, signal: null }));
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    void this.exited.then(() => this.#idle());
  }

  /** Its process id, which is also the id of its process group. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Lets it finish its current job, then ends it. */
  async stop(graceMs: number): Promise<RunnerProgramExit> {
    if (this.#busy) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    return await this.end(graceMs);
  }

  /** Ends it, and the job that it may have: no further step starts. Kills what is left of it after `graceMs`. */
  async end(graceMs: number): Promise<RunnerProgramExit> {
    this.#child.kill(this.#endSignal);
    const timer = setTimeout(() => this.#killGroup(), graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    this.#killGroup();
    return exit;
  }

  #idle(): void {
    this.#busy = false;
    for (const done of this.#onIdle.splice(0)) done();
  }

  #killGroup(): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // The group is gone.
    }
  }
}
