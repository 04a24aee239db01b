import type { WorkerThreadClient } from '@temporalio/worker/lib/workflow/threaded-vm.js';
import type { Logger } from '../../../contracts/lib/log.ts';

/** When a thread counts as blocked. */
export interface WatchTimes {
  /** How often a thread that has work is checked, milliseconds. */
  intervalMs: number;
  /** A call takes milliseconds. After this many checks without an answer, the log names the workflow. */
  checksUntilLogged: number;
  /** After this many, the thread is ended, and with it the worker and its process. A supervisor starts it again. */
  checksUntilEnded: number;
}

const TIMES: WatchTimes = { intervalMs: 1000, checksUntilLogged: 5, checksUntilEnded: 30 };

type Input = Parameters<WorkerThreadClient['send']>[0];
type Output = Awaited<ReturnType<WorkerThreadClient['send']>>;

/**
 * The SDK's client of a workflow thread, with a watch over the thread. A workflow with an endless loop blocks its thread, and
 * with it all workflows of this worker. The log then names the workflow's run, and the thread is ended. Checks are counted
 * instead of time, because a machine that was suspended has no endless loop.
 */
export function createWatchedClient(
  Client: typeof WorkerThreadClient,
  log: Logger,
  { intervalMs, checksUntilLogged, checksUntilEnded }: WatchTimes = TIMES,
): typeof WorkerThreadClient {
  return class WatchedClient extends Client {
    readonly #pending = new Map<Input, string>();
    #checks = 0;
    #timer: NodeJS.Timeout | undefined;

    override async send(input: Input): Promise<Output> {
      // Loading all code may take longer than any call.
      if (input.type === 'init') return await super.send(input);
      this.#pending.set(input, 'runId' in input ? input.runId : '');
      this.#timer ??= setInterval(() => this.#check(), intervalMs).unref();
      try {
        return await super.send(input);
      } finally {
        this.#pending.delete(input);
        this.#checks = 0;
        if (this.#pending.size === 0) {
          clearInterval(this.#timer);
          this.#timer = undefined;
        }
      }
    }

    #check(): void {
      this.#checks += 1;
      // A thread handles its requests in order: the oldest is the one that blocks it.
      const [run] = this.#pending.values();
      if (this.#checks === checksUntilLogged) {
        log.error({ run, waiting: this.#pending.size }, 'workflow code does not return: an endless loop?');
      }
      if (this.#checks !== checksUntilEnded) return;
      log.error({ run }, 'workflow code does not return: ending this worker');
      void this.workerThread.terminate();
    }
  };
}
