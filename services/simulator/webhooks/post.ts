import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as SecureAgent, request as httpsRequest } from 'node:https';

export interface PostResult {
  /** The text in GitHub's list of deliveries. */
  status: string;
  statusCode: number;
  headers: Record<string, string>;
  body: string | null;
  /** When it was sent, milliseconds since the epoch. */
  sentAt: number;
  /** Until the whole answer arrived, milliseconds. */
  durationMs: number;
}

/** Sends webhooks. */
export interface WebhookPoster {
  /** Never rejects: a failure is a result too. */
  post(url: string, headers: Record<string, string>, body: string, timeoutMs: number): Promise<PostResult>;
  close(): void;
}

/** Sends webhooks over connections that stay open between them, as GitHub does. */
export class Poster implements WebhookPoster {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #secureAgent = new SecureAgent({ keepAlive: true });

  /** Sends one webhook. Never rejects: a failure is a result too. Doesn't follow redirects. */
  async post(url: string, headers: Record<string, string>, body: string, timeoutMs: number): Promise<PostResult> {
    const secure = url.startsWith('https:');
    const sentAt = Date.now();
    const begun = performance.now();
    try {
      const answer = await new Promise<{ message: IncomingMessage; body: string }>((resolve, reject) => {
        const outgoing = (secure ? httpsRequest : httpRequest)(
          url,
          {
            method: 'POST',
            headers: { ...headers, 'content-length': String(Buffer.byteLength(body)) },
            agent: secure ? this.#secureAgent : this.#agent,
            signal: AbortSignal.timeout(timeoutMs),
          },
          (message) => {
            const chunks: Buffer[] = [];
            message.on('data', (chunk: Buffer) => chunks.push(chunk));
            message.on('end', () => resolve({ message, body: Buffer.concat(chunks).toString('utf8') }));
            message.on('error', reject);
          },
        );
        outgoing.on('error', reject);
        outgoing.end(body);
      });
      const statusCode = answer.message.statusCode ?? 0;
      return {
        status: statusCode >= 200 && statusCode < 300 ? 'OK' : `Invalid HTTP Response: ${statusCode}`,
        statusCode,
        headers: Object.fromEntries(Object.entries(answer.message.headers).map(([key, value]) => [key, String(value)])),
        body: answer.body,
        sentAt,
        durationMs: performance.now() - begun,
      };
    } catch (error) {
      const timedOut = error instanceof Error && error.name === 'AbortError';
      return {
        ...(timedOut
          ? { status: 'timed out', statusCode: 504 }
          : { status: 'failed to connect to host', statusCode: 502 }),
        headers: {},
        body: null,
        sentAt,
        durationMs: performance.now() - begun,
      };
    }
  }

  close(): void {
    this.#agent.destroy();
    this.#secureAgent.destroy();
  }
}
