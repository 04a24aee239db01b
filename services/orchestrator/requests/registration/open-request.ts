/** Until a waiting agent that was told to ask again has done so, its request keeps its place in the queue. */
const RETURN_MS = 10_000;

/** The one call to the forge for a runner that all of its requests to this orchestrator wait for. */
export class OpenRequest {
  /** The newest request: the agent has given up the others. */
  attempt = -1;
  readonly #abort = new AbortController();
  #until = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Fires when nobody waits for the answer any more. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** @param waitMs how long the new request is held here */
  join(attempt: number, waitMs: number): void {
    this.attempt = Math.max(this.attempt, attempt);
    this.#until = Math.max(this.#until, performance.now() + waitMs + RETURN_MS);
    if (this.#timer === undefined) this.#arm();
  }

  /** A call that is still queued is not sent. */
  abandon(): void {
    this.#abort.abort();
    this.close();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #arm(): void {
    const left = this.#until - performance.now();
    if (left <= 0) {
      this.abandon();
      return;
    }
    this.#timer = setTimeout(() => this.#arm(), left);
    this.#timer.unref();
  }
}
