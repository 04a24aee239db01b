import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { PostResult, WebhookPoster } from '../../services/simulator/webhooks/post.ts';

/** A webhook to send, from the bench to the program webhook-sender.ts. */
export interface SendOrder {
  id: number;
  url: string;
  headers: Record<string, string>;
  body: string;
  timeoutMs: number;
}

/** The answer to a {@link SendOrder}. */
export interface SendReport {
  id: number;
  result: PostResult;
}

/**
 * Sends webhooks from a process of its own, which also measures how long each takes: in the bench's process, an acknowledgement would
 * wait for whatever else runs in its event loop, which also plays the forge.
 */
export class SenderProcess implements WebhookPoster {
  readonly #child = fork(fileURLToPath(new URL('webhook-sender.ts', import.meta.url)), { execArgv: [] });
  readonly #pending = new Map<number, (result: PostResult) => void>();
  #lastId = 0;

  constructor() {
    this.#child.on('message', ({ id, result }: SendReport) => {
      this.#pending.get(id)?.(result);
      this.#pending.delete(id);
    });
  }

  post(url: string, headers: Record<string, string>, body: string, timeoutMs: number): Promise<PostResult> {
    const id = (this.#lastId += 1);
    return new Promise((resolve) => {
      this.#pending.set(id, resolve);
      this.#child.send({ id, url, headers, body, timeoutMs } satisfies SendOrder);
    });
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
