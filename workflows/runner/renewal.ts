import type { RunnerInput } from '../../contracts/workflows/runner.ts';
import { toSpread } from '../lib/spread.ts';

/**
 * An idle runner is renewed when between 40 and 50 percent of its time to live is over: whatever job it gets, at least half is left
 * for it, and runners that were created together are not renewed together.
 */
const RENEWAL_FRACTION = { first: 0.4, last: 0.5 };
/** After the forge said that a job runs on it, or the like. */
const RETRY_MS = 60_000;

/** When an idle runner has too little of its time to live left to take a job. */
export class Renewal {
  #at: number;

  constructor({ runner, settings }: RunnerInput, createdAt: Date) {
    const { first, last } = RENEWAL_FRACTION;
    const fraction = first + (last - first) * toSpread(runner);
    this.#at = createdAt.getTime() + settings.timeToLiveMs * fraction;
  }

  isDue(): boolean {
    return Date.now() >= this.#at;
  }

  /** Milliseconds, at least 1. */
  timeLeft(): number {
    return Math.max(1, Math.ceil(this.#at - Date.now()));
  }

  /** It could not leave now. */
  postpone(): void {
    this.#at = Math.max(this.#at, Date.now() + RETRY_MS);
  }
}
