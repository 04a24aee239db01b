import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface RunnerProgramExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** The lines that the forge's runner prints when it starts a job, and when it has completed it. */
const JOB_STARTED = /: Running job: /;
const JOB_COMPLETED = /: Job .* completed with result: /;

/** The running program of the forge's runner: `run.sh` and all its child processes. */
export class RunnerProgram {
  readonly exited: Promise<RunnerProgramExit>;
  readonly #child: ChildProcess;
  readonly #onIdle: (() => void)[] = [];
  #busy = false;

  /** @param onLine receives what it prints, line by line */
  constructor(command: string, options: { cwd: string; env: NodeJS.ProcessEnv; onLine: (line: string) => void }) {
    const { cwd, env, onLine } = options;
    // A process group of its own: Ctrl-C on a terminal reaches only this process, which decides when the program ends.
    this.#child = spawn(command, [], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        if (JOB_STARTED.test(line)) this.#busy = true;
        else if (JOB_COMPLETED.test(line)) this.#idle();
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

  /** Lets it finish its current job, then stops it. Kills what is left of it after `graceMs`. */
  async stop(graceMs: number): Promise<RunnerProgramExit> {
    if (this.#busy) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    this.#child.kill('SIGTERM');
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
