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

/** The server refused: 401 registration gone, 409 session or job not ours. */
export class ServerRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ServerRefusal';
    this.status = status;
  }
}

const RETRY_DELAYS_MS = [200, 500, 1_000, 2_000, 5_000];
/** So long a report is repeated before the runner gives the server up. */
const REQUEST_TIMEOUT_MS = 600_000;

/** The runner's connection to the server. What can't be reached is asked again, with pauses. */
export class RunnerClient {
  readonly #config: JitConfig;
  #pollMs = 25_000;

  constructor(config: JitConfig) {
    this.#config = config;
  }

  /** Goes online. @throws ServerRefusal */
  async openSession(stop: AbortSignal): Promise<{ ephemeral: boolean }> {
    const answer = sessionAnswer.parse(await this.#ask('POST', 'session', { stop }));
    this.#pollMs = answer.pollMs;
    return answer;
  }

  /** Goes offline, if the server can still be told. */
  async closeSession(): Promise<void> {
    await this.#ask('DELETE', 'session', { stop: AbortSignal.timeout(2_000) }).catch(() => undefined);
  }

  /** The next job's id, or undefined when there was none for a while. @throws ServerRefusal */
  async nextJob(stop: AbortSignal): Promise<number | undefined> {
    const answer = await this.#ask('GET', `message?wait=${this.#pollMs}`, { stop });
    return answer === undefined ? undefined : messageAnswer.parse(answer).jobId;
  }

  /** Takes the job, or undefined when it was taken back. @throws ServerRefusal 401 */
  async acquire(jobId: number, stop: AbortSignal): Promise<JobMessage | undefined> {
    try {
      return jobMessage.parse(await this.#ask('POST', `jobs/${jobId}/acquire`, { stop }));
    } catch (error) {
      if (error instanceof ServerRefusal && error.status === 409) return undefined;
      throw error;
    }
  }

  /** Resolves true on a cancellation, false when none came for a while. @throws ServerRefusal once the job isn't ours */
  async waitForCancellation(jobId: number, stop: AbortSignal): Promise<boolean> {
    const answer = await this.#ask('GET', `jobs/${jobId}/cancellation`, { stop });
    return cancellationAnswer.parse(answer).cancelled;
  }

  async reportStep(jobId: number, report: StepReport): Promise<void> {
    await this.#ask('POST', `jobs/${jobId}/steps`, { body: report });
  }

  async complete(jobId: number, completion: Completion): Promise<void> {
    await this.#ask('POST', `jobs/${jobId}/complete`, { body: completion });
  }

  async #ask(
    method: string,
    path: string,
    { body, stop }: { body?: z.infer<z.ZodUnknown>; stop?: AbortSignal } = {},
  ): Promise<unknown> {
    const until = Date.now() + REQUEST_TIMEOUT_MS;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#askOnce(method, path, body, stop);
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

  async #askOnce(method: string, path: string, body: unknown, stop?: AbortSignal): Promise<unknown> {
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
