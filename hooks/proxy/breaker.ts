import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleWhen,
  isBrokenCircuitError,
  retry,
  wrap,
} from 'cockatiel';
import { changeProxyState, readProxyState, type ProxyState } from '../../contracts/lib/proxy-state.ts';

/** After so many hooks in a row without an answer the breaker opens, and further hooks send no request. */
const FAILURE_THRESHOLD = 3;
/** Retries within one hook. */
const RETRY_OPTIONS = { maxAttempts: 3, backoff: new ExponentialBackoff({ initialDelay: 500, maxDelay: 3000 }) };

/** The orchestrator did not answer, or answered that it cannot serve the request at the moment. */
export class OrchestratorUnavailable extends Error {}

/** The circuit breaker is open: no request was sent. */
export class BreakerOpen extends Error {}

/**
 * A circuit breaker whose state is in a file that all hooks of a proxy share. While it is open, hooks fail at once;
 * after a pause, one of them tries again.
 */
export class SharedBreaker {
  readonly #file: string;
  readonly #pauseMs: number;

  /** @param pauseMs how long the breaker stays open */
  constructor(file: string, pauseMs: number) {
    this.#file = file;
    this.#pauseMs = pauseMs;
  }

  /**
   * Sends a request, and retries it a few times if there is no answer.
   *
   * @throws OrchestratorUnavailable, BreakerOpen; any other error of `request`, which counts as an answer
   */
  async execute<T>(request: () => Promise<T>): Promise<T> {
    const transient = handleWhen((error) => error instanceof OrchestratorUnavailable);
    let unanswered = 0;
    const policy = wrap(this.#policy(readProxyState(this.#file)), retry(transient, RETRY_OPTIONS));
    const countingRequest = async (): Promise<T> => {
      try {
        return await request();
      } catch (error) {
        if (error instanceof OrchestratorUnavailable) unanswered += 1;
        throw error;
      }
    };
    try {
      const result = await policy.execute(countingRequest);
      await this.#record(true, { handedOver: 1, connectionFailures: unanswered });
      return result;
    } catch (error) {
      if (isBrokenCircuitError(error)) {
        await this.#count({ failed: 1, heldBack: 1 });
        throw new BreakerOpen('the orchestrator did not answer the last requests, so none was sent');
      }
      await this.#record(!(error instanceof OrchestratorUnavailable), { failed: 1, connectionFailures: unanswered });
      throw error;
    }
  }

  #policy(state: ProxyState) {
    return circuitBreaker(
      handleWhen((error) => error instanceof OrchestratorUnavailable),
      {
        halfOpenAfter: this.#pauseMs,
        breaker: new ConsecutiveBreaker(FAILURE_THRESHOLD),
        ...(state.breaker === undefined ? {} : { initialState: state.breaker }),
      },
    );
  }

  /** Adds the result to the latest state: other hooks may have changed it in the meantime. */
  async #record(answered: boolean, counts: Partial<Record<CountName, number>>): Promise<void> {
    await changeProxyState(this.#file, async (state) => {
      const policy = this.#policy(answered ? { ...state, breaker: undefined } : state);
      if (!answered) await policy.execute(() => Promise.reject(new OrchestratorUnavailable())).catch(() => undefined);
      return { ...addCounts(state, counts), breaker: policy.toJSON(), open: policy.state !== CircuitState.Closed };
    });
  }

  async #count(counts: Partial<Record<CountName, number>>): Promise<void> {
    await changeProxyState(this.#file, (state) => addCounts(state, counts));
  }
}

type CountName = 'handedOver' | 'failed' | 'connectionFailures' | 'heldBack';

function addCounts(state: ProxyState, counts: Partial<Record<CountName, number>>): ProxyState {
  const { handedOver = 0, failed = 0, connectionFailures = 0, heldBack = 0 } = counts;
  return {
    ...state,
    handedOver: state.handedOver + handedOver,
    failed: state.failed + failed,
    connectionFailures: state.connectionFailures + connectionFailures,
    heldBack: state.heldBack + heldBack,
  };
}
