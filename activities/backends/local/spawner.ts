import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { InstanceEnding } from './instance-folder.ts';
import type { ProcessIdentity } from './identify.ts';

const PROGRAM = fileURLToPath(new URL('spawner-program.ts', import.meta.url));

/** A process to start: its program, and the file to which its output is appended. */
export interface SpawnOrder {
  file: string;
  args: string[];
  cwd: string;
  env: Record<string, string>;
  log: string;
}

/** What the spawner's program reports about the order with that id. */
export type SpawnReport =
  | { id: number; type: 'started'; identity: ProcessIdentity }
  | { id: number; type: 'failed'; reason: string }
  | { id: number; type: 'ended'; ending: InstanceEnding };

/** A process that a {@link Spawner} started. */
export interface SpawnedProcess {
  identity: ProcessIdentity;
  /** Resolves with undefined when the spawner's program has ended before it. */
  ended: Promise<InstanceEnding | undefined>;
}

interface Pending {
  started: PromiseWithResolvers<SpawnedProcess>;
  ended: PromiseWithResolvers<InstanceEnding | undefined>;
}

/**
 * Starts processes through a small program of its own. The system copies the page tables of the process that starts another:
 * from a backend worker of 300 MB, a start takes 10 ms of CPU time, during which the worker does nothing else; from the small program
 * it takes 1 ms. The processes outlive both.
 */
export class Spawner {
  #program: ChildProcess | undefined;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  /** How many starts are under way. */
  #starting = 0;

  /** @throws Error when the process can't be started */
  start(order: SpawnOrder): Promise<SpawnedProcess> {
    const id = (this.#lastId += 1);
    const pending: Pending = { started: Promise.withResolvers(), ended: Promise.withResolvers() };
    this.#pending.set(id, pending);
    const program = (this.#program ??= this.#startProgram());
    // This process may end while its instances run, but not while one starts.
    program.channel?.ref();
    const release = (): void => {
      this.#starting -= 1;
      if (this.#starting === 0) program.channel?.unref();
    };
    this.#starting += 1;
    pending.started.promise.then(release, release);
    program.send({ ...order, id }, (error) => {
      if (error) this.#report({ id, type: 'failed', reason: error.message });
    });
    return pending.started.promise;
  }

  #startProgram(): ChildProcess {
    // Not in this process's group: Ctrl-C must not end it before its backend has finished.
    const program = fork(PROGRAM, {
      execArgv: [],
      env: {},
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    program.on('message', (report: SpawnReport) => this.#report(report));
    program.once('exit', () => {
      if (this.#program === program) this.#program = undefined;
      for (const [id, { started, ended }] of this.#pending) {
        this.#pending.delete(id);
        started.reject(new Error('the program that starts processes has ended'));
        ended.resolve(undefined);
      }
    });
    program.unref();
    program.channel?.unref();
    return program;
  }

  #report(report: SpawnReport): void {
    const pending = this.#pending.get(report.id);
    if (pending === undefined) return;
    switch (report.type) {
      case 'started':
        pending.started.resolve({ identity: report.identity, ended: pending.ended.promise });
        break;
      case 'failed':
        this.#pending.delete(report.id);
        pending.started.reject(new Error(report.reason));
        break;
      case 'ended':
        this.#pending.delete(report.id);
        pending.ended.resolve(report.ending);
        break;
      default:
        report satisfies never;
    }
  }
}
