import { closeSync, mkdirSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const STATES = { success: '', failure: 'Failed', cancelled: 'Canceled' } as const;

/**
 * The worker's own log, `_diag/Worker_….log` in the runner's folder, which is open while the job runs. It has only the line with the
 * job's state after each step. It is removed at the end, because many fake runners run in one folder.
 * Source: actions/runner, StepsRunner.
 */
export class WorkerLog {
  readonly #folder = join(process.cwd(), '_diag');
  readonly #file: string;
  readonly #fd: number;

  constructor() {
    mkdirSync(this.#folder, { recursive: true });
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
    this.#file = join(this.#folder, `Worker_${stamp}-${process.pid}-utc.log`);
    this.#fd = openSync(this.#file, 'a');
  }

  state(state: keyof typeof STATES): void {
    const at = `${new Date().toISOString().slice(0, 19).replace('T', ' ')}Z`;
    writeSync(this.#fd, `[${at} INFO StepsRunner] Current state: job state = '${STATES[state]}'\n`);
  }

  end(): void {
    closeSync(this.#fd);
    rmSync(this.#file, { force: true });
    try {
      rmdirSync(this.#folder);
    } catch {
      // The folder contains the log of another runner.
    }
  }
}
