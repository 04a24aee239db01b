import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BatonError } from '../../../contracts/errors.ts';
import { identify, type ProcessIdentity } from './identify.ts';
import type { InstanceEnding } from './instance-folder.ts';

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
  /** `isLog`: its log could not be opened, which says nothing about the program. */
  | { id: number; type: 'failed'; isLog: boolean; reason: string }
  | { id: number; type: 'ended'; ending: InstanceEnding };

/** A process that a {@link Spawner} started. */
export interface SpawnedProcess {
  identity: ProcessIdentity;
  /** Resolves with undefined when the spawner has ended before it. */
  ended: Promise<InstanceEnding | undefined>;
}

interface Pending {
  started: PromiseWithResolvers<SpawnedProcess>;
  ended: PromiseWithResolvers<InstanceEnding | undefined>;
}

/**
 * A small program that starts processes. The system copies the page tables of the process that starts another: from a
 * backend worker of 300 MB, a start takes 10 ms of CPU time, during which the worker does nothing else; from the small program it
 * takes 1 ms. The processes outlive both. The program ends with this process, but may start what was ordered before: as long
 * as it runs, whoever has the same work to do must leave it alone.
 */
export class Spawner {
  /** The program. What it was ordered to start will not be started once it has ended. */
  readonly identity: ProcessIdentity;
  readonly #program: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #hasEnded = false;
  #lastId = 0;
  /** How many starts are under way. */
  #starting = 0;

  /** @throws BatonError BACKEND_UNAVAILABLE when the program can't be started */
  constructor() {
    // Not in this process's group: Ctrl-C must not end it before its backend has finished.
    this.#program = fork(PROGRAM, {
      execArgv: [],
      env: {},
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#program.on('error', () => this.#end());
    this.#program.once('exit', () => this.#end());
    const found = this.#program.pid === undefined ? undefined : identify(this.#program.pid);
    if (found === undefined) throw new BatonError('BACKEND_UNAVAILABLE', 'starting the program that starts instances');
    this.identity = { pid: found.pid, started: found.started };
    this.#program.on('message', (report: SpawnReport) => this.#report(report));
    this.#program.unref();
    this.#program.channel?.unref();
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * @throws Error when the process can't be started
   * @throws BatonError BACKEND_UNAVAILABLE when its log can't be opened, or when the program has ended: the process may have been
   *   started then
   */
  start(order: SpawnOrder): Promise<SpawnedProcess> {
    if (this.#hasEnded) return Promise.reject(toEnded());
    const id = (this.#lastId += 1);
    const pending: Pending = { started: Promise.withResolvers(), ended: Promise.withResolvers() };
    this.#pending.set(id, pending);
    // This process may end while its instances run, but not while one starts.
    this.#starting += 1;
    this.#program.channel?.ref();
    const release = (): void => {
      this.#starting -= 1;
      if (this.#starting === 0) this.#program.channel?.unref();
    };
    pending.started.promise.then(release, release);
    // What could not be sent is rejected when the program's end is noticed.
    this.#program.send({ ...order, id }, () => undefined);
    return pending.started.promise;
  }

  #end(): void {
    this.#hasEnded = true;
    for (const { started, ended } of this.#pending.values()) {
      started.reject(toEnded());
      ended.resolve(undefined);
    }
    this.#pending.clear();
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
        pending.started.reject(
          report.isLog
            ? new BatonError('BACKEND_UNAVAILABLE', `starting a process: ${report.reason}`)
            : new Error(report.reason),
        );
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

function toEnded(): BatonError {
  return new BatonError('BACKEND_UNAVAILABLE', 'starting a process: the program that starts processes has ended');
}
