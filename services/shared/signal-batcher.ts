/** One item for one workflow. */
export interface Item<T> {
  /** The id of the message it arrived with: the same on redelivery. */
  id: string;
  value: T;
  /** Approximate size as JSON. */
  bytes: number;
}

const MAX_ITEMS = 100;
/** Temporal accepts 2 MiB in one signal; gRPC 4 MiB in one call. */
const MAX_BYTES = 512 * 1024;

/**
 * Under load, calls to one workflow start at least this far apart, milliseconds: larger batches, fewer workflow tasks. An item
 * that arrives while no call is running never waits.
 */
const SPACING_MS = 25;

/** The items for one workflow that wait for the next call. */
interface Queue<T, R> {
  items: QueuedItem<T, R>[];
  /** Calls are being made; they take all items. */
  draining: boolean;
  /** Set while only items that may wait are in the queue. */
  timer: NodeJS.Timeout | undefined;
}

interface QueuedItem<T, R> {
  item: Item<T>;
  resolve: (result: R) => void;
  reject: (error: unknown) => void;
}

/**
 * Batches the items for each workflow: while one call to a workflow is running, further items for it queue; the next call takes
 * as many as fit. A single item is sent at once, unless it may wait for others. Items for one workflow keep the order in which they
 * were added.
 */
export class SignalBatcher<T, R> {
  readonly #send: (workflow: string, items: Item<T>[]) => Promise<R>;
  readonly #maySplit: (error: unknown) => boolean;
  readonly #queues = new Map<string, Queue<T, R>>();

  /**
   * @param send one call; must be idempotent by the items' ids
   * @param maySplit whether a single item may have caused the error: then the others are sent without it
   */
  constructor(send: (workflow: string, items: Item<T>[]) => Promise<R>, maySplit: (error: unknown) => boolean) {
    this.#send = send;
    this.#maySplit = maySplit;
  }

  /**
   * Resolves with the result of the call that contained the item, or rejects with its error.
   *
   * @param mayWaitMs how long the item may wait for others for the same workflow, milliseconds
   */
  add(workflow: string, item: Item<T>, mayWaitMs = 0): Promise<R> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(workflow) ?? { items: [], draining: false, timer: undefined };
      this.#queues.set(workflow, queue);
      queue.items.push({ item, resolve, reject });
      if (queue.draining) return;
      if (mayWaitMs === 0 || queue.items.length >= MAX_ITEMS) void this.#drain(workflow, queue);
      else queue.timer ??= setTimeout(() => void this.#drain(workflow, queue), mayWaitMs);
    });
  }

  async #drain(workflow: string, queue: Queue<T, R>): Promise<void> {
    clearTimeout(queue.timer);
    queue.draining = true;
    const { items } = queue;
    while (items.length > 0) {
      const began = performance.now();
      await this.#deliver(workflow, takeBatch(items));
      if (items.length > 0 && items.length < MAX_ITEMS) await pause(began + SPACING_MS - performance.now());
    }
    this.#queues.delete(workflow);
  }

  async #deliver(workflow: string, batch: QueuedItem<T, R>[]): Promise<void> {
    try {
      const result = await this.#send(
        workflow,
        batch.map(({ item }) => item),
      );
      for (const { resolve } of batch) resolve(result);
    } catch (error) {
      if (batch.length === 1 || !this.#maySplit(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.#deliver(workflow, batch.slice(0, half));
      await this.#deliver(workflow, batch.slice(half));
    }
  }
}

function pause(ms: number): Promise<void> | undefined {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : undefined;
}

function takeBatch<T, R>(queue: QueuedItem<T, R>[]): QueuedItem<T, R>[] {
  let bytes = 0;
  let count = 0;
  for (const { item } of queue) {
    bytes += item.bytes;
    if (count > 0 && (count === MAX_ITEMS || bytes > MAX_BYTES)) break;
    count += 1;
  }
  return queue.splice(0, count);
}
