import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface RunnerProgramExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** How the forge's runner tells on its output that it has a job, and that it has none any more. */
const JOB_BEGINS = /: Running job: /;
const JOB_ENDS = /: Job .* completed with result: /;

/** The forge's runner program, running: `run.sh` and all below it. */
export class RunnerProgram {
  readonly exited: Promise<RunnerProgramExit>;
  readonly #child: ChildProcess;
  readonly #onIdle: (() => void)[] = [];
  #busy = false;

  /** @param onLine given what it prints, line by line */
  constructor(command: string, options: { cwd: string; env: NodeJS.ProcessEnv; onLine: (line: string) => void }) {
    const { cwd, env, onLine } = options;
    // A group of its own: Ctrl-C on a terminal reaches us alone, and we decide when it ends.
    this.#child = spawn(command, [], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        if (JOB_BEGINS.test(line)) this.#busy = true;
        else if (JOB_ENDS.test(line)) this.#idle();
        onLine(line);
      });
    }
    this.exited = new Promise((resolve) => {
      this.#child.once('error', () => resolve({ code: 127, signal: null }));
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    void this.exited.then(() => this.#idle());
  }

  /** Its process, and the group of all below it. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Lets it finish the job in hand, ends it, and after `graceMs` ends whatever is left of it. */
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
      // Nothing is left of it.
    }
  }
}
