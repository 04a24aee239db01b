import { Budget } from '../../activities/forges/github/scheduler/budget.ts';
import { scheduleFetch } from '../../activities/forges/github/scheduler/schedule-fetch.ts';
import { CallScheduler, type CallResult } from '../../activities/forges/github/scheduler/scheduler.ts';
import { ScopeLimit } from '../../activities/forges/github/scheduler/scope-limit.ts';
import { EMPTY_STATE, type BudgetState } from '../../activities/forges/github/scheduler/state.ts';
import type { WindowUses } from '../../activities/lib/sliding-window.ts';
import { createLogger } from '../../contracts/lib/log.ts';
import { MemoryDocument } from './memory-document.ts';

/** What the forge answers to a call; a promise: it takes its time. */
type Answer = Response | Error | Promise<Response>;

export const JIT = 'https://api.github.com/orgs/acme/actions/runners/generate-jitconfig';
export const RUNNER = 'https://api.github.com/orgs/acme/actions/runners/7';
export const RUNS = 'https://api.github.com/repos/acme/web/actions/runs';

/** Documents that several schedulers share, as processes do. */
export class SharedLimits {
  readonly state = new MemoryDocument<BudgetState>(EMPTY_STATE);
  readonly scopes = new ScopeLimit({ open: () => new MemoryDocument<WindowUses>([]) });
}

/** A forge that answers what a test says, behind a scheduler. Fake timers are the test's own. */
export class ScheduledForge {
  readonly scheduler: CallScheduler;
  /** Method and path of every call that was sent, and when. */
  readonly sent: { call: string; at: number }[] = [];
  readonly results: CallResult[] = [];
  /** Answers one call; undefined: 200 at once. */
  answer: (call: string) => Answer | undefined = () => undefined;
  readonly #fetch: typeof fetch;

  constructor(pointsPerMinute: number, limits = new SharedLimits()) {
    const budget = new Budget({
      pointsPerMinute,
      document: limits.state,
      scopes: limits.scopes,
      process: Math.random().toString(36).slice(2),
    });
    this.scheduler = new CallScheduler({
      name: 'app-1',
      budget,
      scopes: limits.scopes,
      log: createLogger('test', 'silent'),
      onResult: (_call, result) => this.results.push(result),
    });
    this.#fetch = scheduleFetch(this.scheduler, (input, init) => this.#send(new Request(input).url, init));
  }

  /** Sends a call, and resolves with the status of its answer or with the error's code. */
  async call(method: string, url: string, signal?: AbortSignal): Promise<number | string> {
    try {
      return (await this.#fetch(url, { method, ...(signal === undefined ? {} : { signal }) })).status;
    } catch (error) {
      return error instanceof Error && 'code' in error ? String(error.code) : String(error);
    }
  }

  /** Sends a call that is expected to fail. */
  async fail(method: string, url: string, signal?: AbortSignal): Promise<unknown> {
    return await this.#fetch(url, { method, ...(signal === undefined ? {} : { signal }) }).catch(
      (error: unknown) => error,
    );
  }

  /** How many calls of that method were sent. */
  count(method: string): number {
    return this.sent.filter(({ call }) => call.startsWith(method)).length;
  }

  async #send(url: string, init: RequestInit | undefined): Promise<Response> {
    const call = `${init?.method ?? 'GET'} ${new URL(url).pathname}`;
    this.sent.push({ call, at: Date.now() });
    const answer = this.answer(call) ?? new Response('{}');
    if (answer instanceof Error) throw answer;
    const { signal } = init ?? {};
    const aborted = new Promise<never>((_resolve, reject) => {
      const fail = (): void => reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      if (signal?.aborted) fail();
      signal?.addEventListener('abort', fail);
    });
    return await Promise.race([answer, aborted]);
  }
}

/** An answer that the forge never gives. */
export function noAnswer(): Promise<Response> {
  return new Promise(() => undefined);
}
