type Cleanup = () => Promise<void>;

/** What has to be undone, in reverse order. What is added after {@link Cleanups.run} has begun is undone at once. */
export class Cleanups {
  readonly #items: Cleanup[] = [];
  readonly #kills: (() => void)[] = [];
  #running: Promise<void> | undefined;

  async add(cleanup: Cleanup): Promise<void> {
    if (this.#running) await cleanup();
    else this.#items.push(cleanup);
  }

  /** Adds what {@link Cleanups.kill} calls. */
  onKill(kill: () => void): void {
    this.#kills.push(kill);
  }

  /** Ends everything at once, without waiting. */
  kill(): void {
    for (const kill of this.#kills) kill();
  }

  /** Runs all cleanups, also after one of them failed; safe to call twice. */
  run(report: (error: unknown) => void): Promise<void> {
    this.#running ??= (async () => {
      for (let next = this.#items.pop(); next !== undefined; next = this.#items.pop()) {
        await next().catch(report);
      }
    })();
    return this.#running;
  }
}
