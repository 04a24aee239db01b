import { classifyCall, type ObservedLimits, type Urgency } from './budget.ts';

/** A budget that several processes share. */
export interface SharedBudget {
  /**
   * Resolves with 0 when the call may go, having been counted; else, where that would take longer than `patienceMs`,
   * with how long it would, milliseconds.
   */
  take(call: { cost: number; urgency: Urgency }, patienceMs: number): Promise<number>;
  /** What the forge said about limits. */
  observe(heard: ObservedLimits): void;
}

/** A longer wait is the caller's to plan: a workflow's timer is durable, a process's is not. */
export const MAX_WAIT_MS = 60_000;

/**
 * `fetch` that asks the budget first, for each attempt. A call that would have to wait for longer than a minute is
 * answered as the forge would answer it: 429 with `retry-after`.
 */
export function meteredFetch(budget: SharedBudget): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const wait = await budget.take(classifyCall(init?.method ?? 'GET', url.pathname), MAX_WAIT_MS);
    if (wait > 0) {
      const message = `Baton waits for the forge's rate limit, ${Math.ceil(wait / 1000)} s more`;
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
