import { z } from 'zod';
import type { JobContext } from '../../contracts/messages/delegation.ts';
import { OrchestratorUnavailable } from './breaker.ts';

const accepted = z.object({ id: z.string(), status: z.string() });
const problem = z.object({ code: z.string(), message: z.string(), help: z.string() });

/** The orchestrator answered that it will not take the job. */
export class DelegationRefused extends Error {}

/** The API as a proxy's hooks use it. */
export class OrchestratorClient {
  readonly #url: string;
  readonly #token: string;
  readonly #timeoutMs: number;

  constructor(url: string, token: string, timeoutMs: number) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Hands a job over.
   *
   * @returns the delegation's id
   * @throws OrchestratorUnavailable, DelegationRefused
   */
  async delegate(context: JobContext): Promise<string> {
    const answer = await this.#post('/api/jobs/delegate', context);
    return accepted.parse(answer).id;
  }

  /** Says that the proxy's attempt is over. @throws OrchestratorUnavailable, DelegationRefused */
  async complete(id: string): Promise<void> {
    await this.#post(`/api/jobs/${id}/complete`, {});
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const { status, text } = await this.#answer(path, body);
    const json = parseJson(text);
    if (status >= 200 && status < 300) return json;
    const told = problem.safeParse(json);
    const what = told.success ? `${told.data.message}. ${told.data.help}` : `it answered ${status}`;
    if (status >= 500 || status === 429 || status === 408) throw new OrchestratorUnavailable(what);
    throw new DelegationRefused(what);
  }

  async #answer(path: string, body: unknown): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(`${this.#url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${this.#token}` },
        body: JSON.stringify(body),
        // The token is for this address alone.
        redirect: 'error',
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      return { status: response.status, text: await response.text() };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new OrchestratorUnavailable(cause instanceof Error ? cause.message || cause.name : String(cause));
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
