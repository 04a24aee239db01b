import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleWhen,
  isBrokenCircuitError,
  retry,
  wrap,
  type IPolicy,
} from 'cockatiel';

/** After so many jobs in a row without an answer the breaker opens, and further jobs send no request. */
const FAILURE_THRESHOLD = 3;
/** Retries within one job. */
const RETRY_OPTIONS = { maxAttempts: 3, backoff: new ExponentialBackoff({ initialDelay: 500, maxDelay: 3000 }) };

/** The orchestrator did not answer, or answered that it cannot serve the request at the moment. */
export class OrchestratorUnavailable extends Error {}

/** The circuit breaker is open: no request was sent. */
export class BreakerOpen extends Error {}

/**
 * A circuit breaker for the jobs of a proxy. While it is open, jobs fail at once; after a pause, one of them tries again. It is kept in
 * memory only: no job waits for a disk.
 */
export class HandOverBreaker {
  readonly #breaker;
  readonly #policy: IPolicy;
  readonly #counts = { handedOver: 0, failed: 0, connectionFailures: 0, heldBack: 0 };

  /** @param pauseMs how long the breaker stays open */
  constructor(pauseMs: number) {
    const unanswered = handleWhen((error) => error instanceof OrchestratorUnavailable);
    this.#breaker = circuitBreaker(unanswered, {
      halfOpenAfter: pauseMs,
      breaker: new ConsecutiveBreaker(FAILURE_THRESHOLD),
    });
    this.#policy = wrap(this.#breaker, retry(unanswered, RETRY_OPTIONS));
  }

  /** Whether jobs are held back: for its pause, and until a request is answered again. */
  get open(): boolean {
    return this.#breaker.state !== CircuitState.Closed;
  }

  /** Jobs that were handed over or not, requests without an answer, and jobs that sent none, which count as failed too. */
  get counts(): Readonly<{ handedOver: number; failed: number; connectionFailures: number; heldBack: number }> {
    return this.#counts;
  }

  /**
   * Sends a request, and retries it a few times if there is no answer.
   *
   * @throws OrchestratorUnavailable, BreakerOpen; any other error of `request`, which counts as an answer
   */
  async execute<T>(request: () => Promise<T>): Promise<T> {
    try {
      const result = await this.#policy.execute(async () => {
        try {
          return await request();
        } catch (error) {
          if (error instanceof OrchestratorUnavailable) this.#counts.connectionFailures += 1;
          throw error;
        }
      });
      this.#counts.handedOver += 1;
      return result;
    } catch (error) {
      this.#counts.failed += 1;
      if (!isBrokenCircuitError(error)) throw error;
      this.#counts.heldBack += 1;
      throw new BreakerOpen('the orchestrator did not answer the last requests, so none was sent');
    }
  }
}
