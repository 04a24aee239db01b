/** One thing for one workflow. */
export interface Letter<T> {
  /** Of the message it came with: the same on redelivery. */
  id: string;
  value: T;
  /** About how large it is as JSON. */
  bytes: number;
}

const MOST_LETTERS = 100;
/** Temporal takes 2 MiB in one signal; gRPC 4 MiB in one call. */
const MOST_BYTES = 512 * 1024;

/**
 * Under load, calls to one workflow begin at least this far apart, milliseconds: larger batches, fewer workflow tasks. What comes
 * while nothing is under way never waits.
 */
const SPACING_MS = 25;

interface Waiting<T, R> {
  letter: Letter<T>;
  resolve: (result: R) => void;
  reject: (error: unknown) => void;
}

/**
 * Natural batching: while one call to a workflow is under way, further letters for it gather; then one call takes as many
 * as fit. A lone letter goes at once. The order in which letters were posted to an address is kept.
 */
export class Mailbox<T, R> {
  readonly #send: (address: string, letters: Letter<T>[]) => Promise<R>;
  readonly #mayDivide: (error: unknown) => boolean;
  readonly #queues = new Map<string, Waiting<T, R>[]>();

  /**
   * @param send one call; must be idempotent by the letters' ids
   * @param mayDivide whether an error may be the fault of a single letter: then the others are sent without it
   */
  constructor(send: (address: string, letters: Letter<T>[]) => Promise<R>, mayDivide: (error: unknown) => boolean) {
    this.#send = send;
    this.#mayDivide = mayDivide;
  }

  /** Resolves with the result of the call that took the letter, or rejects with its error. */
  post(address: string, letter: Letter<T>): Promise<R> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(address);
      if (queue) {
        queue.push({ letter, resolve, reject });
        return;
      }
      const started = [{ letter, resolve, reject }];
      this.#queues.set(address, started);
      void this.#work(address, started);
    });
  }

  async #work(address: string, queue: Waiting<T, R>[]): Promise<void> {
    while (queue.length > 0) {
      const began = performance.now();
      await this.#deliver(address, takeBatch(queue));
      if (queue.length > 0 && queue.length < MOST_LETTERS) await pause(began + SPACING_MS - performance.now());
    }
    this.#queues.delete(address);
  }

  async #deliver(address: string, batch: Waiting<T, R>[]): Promise<void> {
    try {
      const result = await this.#send(
        address,
        batch.map(({ letter }) => letter),
      );
      for (const { resolve } of batch) resolve(result);
    } catch (error) {
      if (batch.length === 1 || !this.#mayDivide(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.#deliver(address, batch.slice(0, half));
      await this.#deliver(address, batch.slice(half));
    }
  }
}

function pause(ms: number): Promise<void> | undefined {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined;
}

function takeBatch<T, R>(queue: Waiting<T, R>[]): Waiting<T, R>[] {
  let bytes = 0;
  let count = 0;
  for (const { letter } of queue) {
    bytes += letter.bytes;
    if (count > 0 && (count === MOST_LETTERS || bytes > MOST_BYTES)) break;
    count += 1;
  }
  return queue.splice(0, count);
}
