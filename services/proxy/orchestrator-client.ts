import { z } from 'zod';
import type { JobContext } from '../../contracts/messages/delegation.ts';
import { OrchestratorUnavailable } from './breaker.ts';

const accepted = z.object({ id: z.string(), status: z.string() });
const problem = z.object({ code: z.string(), message: z.string(), help: z.string() });

/** The orchestrator answered that it does not accept the job. */
export class DelegationRefused extends Error {}

/** The part of the orchestrator's API that a proxy uses. */
export class OrchestratorClient {
  readonly #url: string;
  readonly #token: () => string;
  readonly #timeoutMs: number;

  /**
   * @param token returns a bearer token that is valid now
   * @param timeoutMs of each request
   */
  constructor(url: string, token: () => string, timeoutMs: number) {
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

  /** Reports that the proxy's attempt has ended. @throws OrchestratorUnavailable, DelegationRefused */
  async complete(id: string): Promise<void> {
    await this.#post(`/api/jobs/${id}/complete`, {});
  }

  async #post(path: string, body: unknown): Promise<unknown> {
    const { status, text } = await this.#send(path, body);
    const json = parseJson(text);
    if (status >= 200 && status < 300) return json;
    const parsed = problem.safeParse(json);
    const message = parsed.success
      ? `${parsed.data.message}. ${parsed.data.help}`
      : `the orchestrator answered ${status}`;
    if (status >= 500 || status === 429 || status === 408) throw new OrchestratorUnavailable(message);
    throw new DelegationRefused(message);
  }

  async #send(path: string, body: unknown): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(`${this.#url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${this.#token()}` },
        body: JSON.stringify(body),
        // The token must not be sent to another address.
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
