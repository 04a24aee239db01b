import { classifyCall, type ObservedLimits, type Urgency } from './budget.ts';

/** A budget that several processes share. */
export interface SharedBudget {
  /**
   * Waits until the call may be sent, and counts it: resolves with 0. If the wait would exceed `maxWaitMs`, it resolves
   * at once with the wait in milliseconds, and the call is not counted.
   */
  take(call: { cost: number; urgency: Urgency }, maxWaitMs: number): Promise<number>;
  /** Records the limits in an answer of the forge. */
  observe(limits: ObservedLimits): void;
}

/** The caller must plan a longer wait itself: a workflow's timer is durable, a process's is not. */
export const MAX_WAIT_MS = 60_000;

/**
 * `fetch` that first takes each attempt's points from the budget. A call that would have to wait for longer than a
 * minute gets the answer that the forge would give: 429 with `retry-after`.
 */
export function meteredFetch(budget: SharedBudget): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const wait = await budget.take(classifyCall(init?.method ?? 'GET', url.pathname), MAX_WAIT_MS);
    if (wait > 0) {
      const message = `Baton waits ${Math.ceil(wait / 1000)} s more for the forge's rate limit`;
      const headers = { 'retry-after': String(Math.ceil(wait / 1000)), 'content-type': 'application/json' };
      return new Response(JSON.stringify({ message }), { status: 429, headers });
    }
    const response = await fetch(input, init);
    budget.observe(toObservedLimits(response));
    return response;
  };
}

function toObservedLimits({ status, headers }: Response): ObservedLimits {
  const number = (name: string): number | undefined => {
    const text = headers.get(name);
    return text === null || !/^\d+$/.test(text) ? undefined : Number(text);
  };
  const reset = number('x-ratelimit-reset');
  return {
    status,
    limit: number('x-ratelimit-limit'),
    remaining: number('x-ratelimit-remaining'),
    resetAt: reset === undefined ? undefined : reset * 1000,
    retryAfterSeconds: number('retry-after'),
  };
}
