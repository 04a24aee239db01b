/** The runners whose instances this process removes, or has just removed: their end is not reported as a death. */
export class Removals {
  readonly #lingerMs: number;
  readonly #latest = new Map<string, symbol>();

  /** @param lingerMs how long after a removal a watch may still see the instance end, milliseconds */
  constructor(lingerMs: number) {
    this.#lingerMs = lingerMs;
  }

  readonly has = (runner: string): boolean => this.#latest.has(runner);

  async track<T>(runner: string, remove: () => Promise<T>): Promise<T> {
    const own = Symbol(runner);
    this.#latest.set(runner, own);
    try {
      return await remove();
    } finally {
      setTimeout(() => {
        // Another attempt may be under way.
        if (this.#latest.get(runner) === own) this.#latest.delete(runner);
      }, this.#lingerMs).unref();
    }
  }
}
