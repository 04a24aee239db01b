import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import {
  cancellationAnswer,
  jobMessage,
  messageAnswer,
  sessionAnswer,
  type Completion,
  type JitConfig,
  type JobMessage,
  type StepReport,
} from '../protocol.ts';

/** The server refused a request: 401 without a registration, 409 for a session or job that isn't this runner's. */
export class ServerRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ServerRefusal';
    this.status = status;
  }
}

const RETRY_DELAYS_MS = [200, 500, 1_000, 2_000, 5_000];
/** A request without an answer is repeated for this time. */
const REQUEST_TIMEOUT_MS = 600_000;

/** The runner's connection to the server. It repeats requests that get no answer. */
export class RunnerClient {
  readonly #config: JitConfig;
  #pollMs = 25_000;

  constructor(config: JitConfig) {
    this.#config = config;
  }

  /** Goes online. @throws ServerRefusal */
  async openSession(stop: AbortSignal): Promise<{ ephemeral: boolean; outliveMs: number }> {
    const answer = sessionAnswer.parse(await this.#request('POST', 'session', { stop }));
    this.#pollMs = answer.pollMs;
    return answer;
  }

  /** Goes offline, if the server still answers. @param why for the simulator's log */
  async closeSession(why = 'it was stopped'): Promise<void> {
    const query = new URLSearchParams({ why: why.slice(0, 200) }).toString();
    await this.#request('DELETE', `session?${query}`, { stop: AbortSignal.timeout(2_000) }).catch(() => undefined);
  }

  /** The next job's id, or undefined when there was none for a while. @throws ServerRefusal */
  async nextJob(stop: AbortSignal): Promise<number | undefined> {
    const answer = await this.#request('GET', `message?wait=${this.#pollMs}`, { stop });
    return answer === undefined ? undefined : messageAnswer.parse(answer).jobId;
  }

  /** Starts the job; undefined when it was requeued meanwhile. @throws ServerRefusal 401 */
  async acquire(jobId: number, stop: AbortSignal): Promise<JobMessage | undefined> {
    try {
      return jobMessage.parse(await this.#request('POST', `jobs/${jobId}/acquire`, { stop }));
    } catch (error) {
      if (error instanceof ServerRefusal && error.status === 409) return undefined;
      throw error;
    }
  }

  /** Resolves true on a cancellation, false when none came for a while. @throws ServerRefusal when the job isn't this runner's any more */
  async waitForCancellation(jobId: number, stop: AbortSignal): Promise<boolean> {
    const answer = await this.#request('GET', `jobs/${jobId}/cancellation`, { stop });
    return cancellationAnswer.parse(answer).cancelled;
  }

  async reportStep(jobId: number, report: StepReport): Promise<void> {
    await this.#request('POST', `jobs/${jobId}/steps`, { body: report });
  }

  async complete(jobId: number, completion: Completion): Promise<void> {
    await this.#request('POST', `jobs/${jobId}/complete`, { body: completion });
  }

  async #request(
    method: string,
    path: string,
    { body, stop }: { body?: z.infer<z.ZodUnknown>; stop?: AbortSignal } = {},
  ): Promise<unknown> {
    const until = Date.now() + REQUEST_TIMEOUT_MS;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#requestOnce(method, path, body, stop);
      } catch (error) {
        if (error instanceof ServerRefusal || stop?.aborted || Date.now() > until) throw error;
        await sleep(
          RETRY_DELAYS_MS[Math.min(attempt, RETRY_DELAYS_MS.length - 1)],
          undefined,
          stop ? { signal: stop } : {},
        );
      }
    }
  }

  async #requestOnce(method: string, path: string, body: unknown, stop?: AbortSignal): Promise<unknown> {
    const timeout = AbortSignal.timeout(this.#pollMs + 15_000);
    const response = await fetch(`${this.#config.serverUrl}/_runner/${this.#config.runnerId}/${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#config.secret}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      signal: stop ? AbortSignal.any([stop, timeout]) : timeout,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return text === '' ? undefined : (JSON.parse(text) as unknown);
    const message = `${method} ${path.split('?')[0]}: server answered ${response.status} ${text}`;
    if (response.status < 500) throw new ServerRefusal(response.status, message);
    throw new Error(message);
  }
}
