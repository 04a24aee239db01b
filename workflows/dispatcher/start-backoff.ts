import { computeDelay, type GrowingDelay } from '../lib/growing-delay.ts';

const PAUSE_MS: GrowingDelay = { first: 1000, max: 5 * 60_000 };

/** A {@link StartBackoff} as JSON. Milliseconds since the epoch. */
export interface BackoffState {
  failures: number;
  notBefore: number;
}

/** A group whose runners fail starts new ones ever more slowly. Pure. */
export class StartBackoff {
  #failures: number;
  #notBefore: number;

  constructor(state?: BackoffState) {
    this.#failures = state?.failures ?? 0;
    this.#notBefore = state?.notBefore ?? 0;
  }

  /** A runner failed; failures during the pause count as one. */
  fail(now: number): void {
    if (this.isPaused(now)) return;
    this.#notBefore = now + computeDelay(PAUSE_MS, this.#failures);
    this.#failures += 1;
  }

  /** A job started: the next failure is the first one again. */
  restart(): void {
    this.#failures = 0;
  }

  /** A runner ran its job: nothing is wrong. */
  end(): void {
    this.#failures = 0;
    this.#notBefore = 0;
  }

  isPaused(now: number): boolean {
    return now < this.#notBefore;
  }

  /** When the pause ends or ended, milliseconds since the epoch. */
  get resumeAt(): number {
    return this.#notBefore;
  }

  toState(): BackoffState {
    return { failures: this.#failures, notBefore: this.#notBefore };
  }
}
