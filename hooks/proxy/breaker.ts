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

/** Hooks in a row that got no answer until the next ones don't ask any more. */
const FAILURES = 3;
/** Tries within one hook. */
const TRIES = { maxAttempts: 3, backoff: new ExponentialBackoff({ initialDelay: 500, maxDelay: 3000 }) };

/** The orchestrator gave no answer, or said that it can't just now. */
export class OrchestratorUnavailable extends Error {}

/** The breaker is open: nothing was asked. */
export class BreakerOpen extends Error {}

/**
 * A circuit breaker whose state outlives the hook: it is in a file that all hooks of a proxy share. While it is open, hooks fail
 * at once; after the pause, one asks again.
 */
export class SharedBreaker {
  readonly #file: string;
  readonly #pauseMs: number;

  /** @param pauseMs how long it stays open */
  constructor(file: string, pauseMs: number) {
    this.#file = file;
    this.#pauseMs = pauseMs;
  }

  /**
   * Asks, again a few times where there is no answer.
   *
   * @throws OrchestratorUnavailable, BreakerOpen; what `ask` throws besides, which counts as an answer
   */
  async execute<T>(ask: () => Promise<T>): Promise<T> {
    const transient = handleWhen((error) => error instanceof OrchestratorUnavailable);
    let misses = 0;
    const policy = wrap(this.#policy(readProxyState(this.#file)), retry(transient, TRIES));
    const counted = async (): Promise<T> => {
      try {
        return await ask();
      } catch (error) {
        if (error instanceof OrchestratorUnavailable) misses += 1;
        throw error;
      }
    };
    try {
      const result = await policy.execute(counted);
      await this.#settle(true, { handedOver: 1, connectionFailures: misses });
      return result;
    } catch (error) {
      if (isBrokenCircuitError(error)) {
        await this.#count({ failed: 1, heldBack: 1 });
        throw new BreakerOpen('the orchestrator is away');
      }
      await this.#settle(!(error instanceof OrchestratorUnavailable), { failed: 1, connectionFailures: misses });
      throw error;
    }
  }

  #policy(state: ProxyState) {
    return circuitBreaker(
      handleWhen((error) => error instanceof OrchestratorUnavailable),
      {
        halfOpenAfter: this.#pauseMs,
        breaker: new ConsecutiveBreaker(FAILURES),
        ...(state.breaker === undefined ? {} : { initialState: state.breaker }),
      },
    );
  }

  /** What came of it, put to the state as it is by now: others ran meanwhile. */
  async #settle(answered: boolean, counts: Partial<Record<CountName, number>>): Promise<void> {
    await changeProxyState(this.#file, async (state) => {
      const policy = this.#policy(answered ? { ...state, breaker: undefined } : state);
      if (!answered) await policy.execute(() => Promise.reject(new OrchestratorUnavailable())).catch(() => undefined);
      return { ...added(state, counts), breaker: policy.toJSON(), open: policy.state !== CircuitState.Closed };
    });
  }

  async #count(counts: Partial<Record<CountName, number>>): Promise<void> {
    await changeProxyState(this.#file, (state) => added(state, counts));
  }
}

type CountName = 'handedOver' | 'failed' | 'connectionFailures' | 'heldBack';

function added(state: ProxyState, counts: Partial<Record<CountName, number>>): ProxyState {
  const { handedOver = 0, failed = 0, connectionFailures = 0, heldBack = 0 } = counts;
  return {
    ...state,
    handedOver: state.handedOver + handedOver,
    failed: state.failed + failed,
    connectionFailures: state.connectionFailures + connectionFailures,
    heldBack: state.heldBack + heldBack,
  };
}
