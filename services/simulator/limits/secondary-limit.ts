import type { Limits } from '../settings.ts';
import type { LimitName } from './limit-error.ts';
import { SlidingWindow } from './sliding-window.ts';

/** Calls this soon after a limit was exceeded were on their way already: they don't extend it. */
const GRACE_MS = 5_000;

/** GitHub's secondary limits of one installation or token: points a minute and calls at once. */
export class SecondaryLimit {
  readonly #limits: Limits;
  readonly #points = new SlidingWindow();
  #open = 0;
  #blockedAt = 0;
  #blockedUntil = 0;
  /** The largest number of points within a window. */
  maxPoints = 0;
  /** The largest number of calls at once. */
  maxOpen = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Unix time in ms until which all calls are refused; 0: none are. */
  get blockedUntil(): number {
    return this.#blockedUntil > Date.now() ? this.#blockedUntil : 0;
  }

  /** The points of the last minute. */
  get points(): number {
    return this.#points.sum(this.#limits.secondaryWindowMs, Date.now());
  }

  /** Refuses all calls from now on, for `limits.retryAfterSeconds`. */
  block(): void {
    this.#blockedAt = Date.now();
    this.#blockedUntil = this.#blockedAt + this.#limits.retryAfterSeconds * 1000;
  }

  /** Begins a call of that cost, unless a limit is exceeded. @returns the limit that refuses it, or null */
  begin(cost: number): LimitName | null {
    const { secondaryPoints, concurrentCalls } = this.#limits;
    if (this.blockedUntil > 0) {
      this.#extend();
      return 'points';
    }
    if (secondaryPoints > 0 && this.points + cost > secondaryPoints) {
      this.block();
      return 'points';
    }
    if (concurrentCalls > 0 && this.#open >= concurrentCalls) {
      this.block();
      return 'concurrency';
    }
    this.#points.add(cost, Date.now());
    this.#open++;
    this.maxPoints = Math.max(this.maxPoints, this.points);
    this.maxOpen = Math.max(this.maxOpen, this.#open);
    return null;
  }

  /** Ends a call that {@link begin} accepted. */
  end(): void {
    this.#open--;
  }

  /** GitHub limits callers for longer that go on calling: each such call adds a little, up to a bound. */
  #extend(): void {
    if (Date.now() < this.#blockedAt + GRACE_MS) return;
    const { extendSeconds, maxBlockSeconds } = this.#limits;
    this.#blockedUntil = Math.min(this.#blockedUntil + extendSeconds * 1000, this.#blockedAt + maxBlockSeconds * 1000);
  }
}
