/** How an answer may be got. */
export interface SharedAnswerOptions {
  /**
   * Milliseconds since the epoch: an answer does that was asked for at this time or later. Undefined: only one that is asked for
   * now.
   */
  notBefore?: number | undefined;
  /** Fires when this asker waits no longer. The question is given up once nobody waits. */
  signal?: AbortSignal | undefined;
}

interface Asked<T> {
  at: number;
  answer: Promise<T>;
  answered: boolean;
  waiting: number;
  controller: AbortController;
}

/** Answers that several askers share: a question is asked once at a time, and its last answer is kept. Failures are not kept. */
export class SharedAnswers<T> {
  readonly #asked = new Map<string, Asked<T>>();
  readonly #now: () => number;

  /** @param now the clock, milliseconds since the epoch */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** @param ask asks the question; its signal fires when no asker is left */
  async get(key: string, options: SharedAnswerOptions, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { notBefore = this.#now(), signal } = options;
    signal?.throwIfAborted();
    const last = this.#asked.get(key);
    const asked = last !== undefined && last.at >= notBefore ? last : this.#ask(key, ask);
    asked.waiting += 1;
    const leave = Promise.withResolvers<never>();
    const onAbort = (): void => leave.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([asked.answer, leave.promise]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      asked.waiting -= 1;
      if (asked.waiting === 0 && !asked.answered) {
        this.#remove(key, asked);
        asked.controller.abort();
      }
    }
  }

  /** The next asker asks anew. */
  forget(key: string): void {
    this.#asked.delete(key);
  }

  #ask(key: string, ask: (signal: AbortSignal) => Promise<T>): Asked<T> {
    const controller = new AbortController();
    const asked: Asked<T> = {
      at: this.#now(),
      answer: ask(controller.signal),
      answered: false,
      waiting: 0,
      controller,
    };
    this.#asked.set(key, asked);
    asked.answer.then(
      () => (asked.answered = true),
      () => {
        asked.answered = true;
        this.#remove(key, asked);
      },
    );
    return asked;
  }

  #remove(key: string, asked: Asked<T>): void {
    if (this.#asked.get(key) === asked) this.#asked.delete(key);
  }
}
