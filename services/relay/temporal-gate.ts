import type { Connection } from '@temporalio/client';
import type { Logger } from '../../contracts/lib/log.ts';
import { toTemporalReason, classifyTemporalError } from './temporal-errors.ts';

const FIRST_PROBE_DELAY_MS = 250;
const MAX_PROBE_DELAY_MS = 5000;
const PROBE_TIMEOUT_MS = 3000;
const CALL_TIMEOUT_MS = 10_000;
/** Calls that failed so often while Temporal itself answered are put aside, to let others pass. */
const MAX_ATTEMPTS = 5;

/** The relay is stopping: the message goes back to the stream. */
export class ShuttingDown extends Error {
  constructor() {
    super('the relay is stopping');
    this.name = 'Interrupted';
  }
}

/** Not now; the message goes back to the stream for a while. */
export class RetryLater extends Error {
  constructor(cause: unknown) {
    super(`Temporal takes it not now: ${toTemporalReason(cause)}`, { cause });
    this.name = 'NotNow';
  }
}

/**
 * All calls to Temporal pass here. When it can't be used, the gate shuts: one probe goes on asking and everybody else waits,
 * instead of burning attempts and deliveries. Opens by itself.
 */
export class TemporalGate {
  readonly #connection: Connection;
  readonly #namespace: string;
  readonly #log: Logger;
  readonly #waiting = new Set<{ open: () => void; interrupt: () => void }>();
  readonly #onOpen: (() => void)[] = [];
  #open = false;
  #probing = false;
  #pauseMs = FIRST_PROBE_DELAY_MS;
  #ended = false;

  constructor(connection: Connection, namespace: string, log: Logger) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#log = log;
    void this.#probe();
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Calls back each time the gate opens. */
  onOpen(listener: () => void): void {
    this.#onOpen.push(listener);
  }

  /**
   * Makes a call, again and again while Temporal is away. The call must be idempotent.
   *
   * @throws Interrupted after {@link end}; NotNow; what the call threw, where that is about its message or workflow
   */
  async call<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      await this.#whenOpen();
      try {
        const result = await this.#connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, work);
        this.#pauseMs = FIRST_PROBE_DELAY_MS;
        return result;
      } catch (error) {
        const trouble = classifyTemporalError(error);
        if (trouble === 'full') throw new RetryLater(error);
        if (trouble !== 'unavailable') throw error;
        this.#shut(error);
        if (attempt >= MAX_ATTEMPTS) throw new RetryLater(error);
      }
    }
  }

  /** Lets nobody wait any longer. */
  end(): void {
    this.#ended = true;
    for (const { interrupt } of this.#waiting) interrupt();
    this.#waiting.clear();
  }

  #whenOpen(): Promise<void> {
    if (this.#ended) return Promise.reject(new ShuttingDown());
    if (this.#open) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.add({ open: resolve, interrupt: () => reject(new ShuttingDown()) });
    });
  }

  #shut(error: unknown): void {
    if (this.#open) this.#log.warn({ reason: toTemporalReason(error) }, 'Temporal can’t be used; waiting for it');
    this.#open = false;
    void this.#probe();
  }

  async #probe(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    let logged = false;
    while (!this.#ended) {
      // Grows with every failure in a row, of a probe or of a call right after a good one.
      await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
      this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PROBE_DELAY_MS);
      try {
        await this.#connection.withDeadline(Date.now() + PROBE_TIMEOUT_MS, () =>
          this.#connection.workflowService.describeNamespace({ namespace: this.#namespace }),
        );
        break;
      } catch (error) {
        if (!logged) this.#log.warn({ reason: toTemporalReason(error) }, 'Temporal does not answer');
        logged = true;
      }
    }
    this.#probing = false;
    if (this.#ended) return;
    this.#open = true;
    this.#log.info('Temporal answers');
    for (const { open } of this.#waiting) open();
    this.#waiting.clear();
    for (const listener of this.#onOpen) listener();
  }
}
