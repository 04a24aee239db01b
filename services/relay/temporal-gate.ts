import type { Connection } from '@temporalio/client';
import type { Logger } from '../../contracts/lib/log.ts';
import { RetryLater, ShuttingDown } from './message-errors.ts';
import { classifyTemporalError, toTemporalReason } from './temporal-errors.ts';

const FIRST_PROBE_DELAY_MS = 250;
const MAX_PROBE_DELAY_MS = 5000;
const PROBE_TIMEOUT_MS = 3000;
const CALL_TIMEOUT_MS = 10_000;
/** A call that failed this often, although Temporal answers its probes, is retried later so that others can pass. */
const MAX_ATTEMPTS = 5;

/**
 * All calls to Temporal pass through this gate. While Temporal is unavailable, the gate is closed: one probe checks
 * Temporal and all calls wait, instead of using up their attempts and deliveries. The gate opens by itself when
 * Temporal answers.
 */
export class TemporalGate {
  readonly #connection: Connection;
  readonly #namespace: string;
  readonly #log: Logger;
  readonly #waiting = new Set<{ resume: () => void; interrupt: () => void }>();
  readonly #onOpen: (() => void)[] = [];
  #open = false;
  #probing = false;
  #probeDelayMs = FIRST_PROBE_DELAY_MS;
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

  /** Calls `listener` each time the gate opens. */
  onOpen(listener: () => void): void {
    this.#onOpen.push(listener);
  }

  /**
   * Makes a call, and repeats it while Temporal is unavailable. The call must be idempotent.
   *
   * @throws ShuttingDown after {@link end}; RetryLater; the call's own error where it concerns this message or workflow
   *   alone
   */
  async call<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      await this.#whenOpen();
      try {
        const result = await this.#connection.withDeadline(Date.now() + CALL_TIMEOUT_MS, work);
        this.#probeDelayMs = FIRST_PROBE_DELAY_MS;
        return result;
      } catch (error) {
        const errorClass = classifyTemporalError(error);
        if (errorClass === 'full') throw new RetryLater(error);
        if (errorClass !== 'unavailable') throw error;
        this.#close(error);
        if (attempt >= MAX_ATTEMPTS) throw new RetryLater(error);
      }
    }
  }

  /** Makes every waiting and every later call fail with {@link ShuttingDown}. */
  end(): void {
    this.#ended = true;
    for (const { interrupt } of this.#waiting) interrupt();
    this.#waiting.clear();
  }

  #whenOpen(): Promise<void> {
    if (this.#ended) return Promise.reject(new ShuttingDown());
    if (this.#open) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.add({ resume: resolve, interrupt: () => reject(new ShuttingDown()) });
    });
  }

  #close(error: unknown): void {
    if (this.#open) this.#log.warn({ reason: toTemporalReason(error) }, 'Temporal is unavailable; waiting for it');
    this.#open = false;
    void this.#probe();
  }

  async #probe(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    let logged = false;
    while (!this.#ended) {
      // The delay doubles with every failure in a row: of a probe, or of a call right after a successful probe.
      await new Promise((resolve) => setTimeout(resolve, this.#probeDelayMs));
      this.#probeDelayMs = Math.min(this.#probeDelayMs * 2, MAX_PROBE_DELAY_MS);
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
    for (const { resume } of this.#waiting) resume();
    this.#waiting.clear();
    for (const listener of this.#onOpen) listener();
  }
}
