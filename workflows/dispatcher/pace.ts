import type { GroupPace, StartResult } from '../../contracts/workflows/pace.ts';

/** Should a held-back start name no time: a little later. */
const DEFAULT_HOLD_MS = 1000;

/** A {@link Pace} as JSON, for continue-as-new; null: nothing is held back. */
export type PaceState = { until: number; perMinute: number | null; reason: string } | null;

/** Holds a group's starts back while the forge does not let more of its runners register. Pure. */
export class Pace {
  #state: PaceState;

  constructor(state: PaceState = null) {
    this.#state = state;
  }

  /**
   * Applies the answer to a start of so many runners.
   *
   * @param result undefined: an orchestrator of an earlier version answered, which starts all
   * @returns how many of them have to wait
   */
  apply(result: StartResult | undefined, asked: number, now: number): number {
    if (result === undefined) {
      this.#state = null;
      return 0;
    }
    const held = Math.max(0, asked - result.started);
    const { nextAt, perMinute } = result;
    const until = nextAt === null ? now + DEFAULT_HOLD_MS : Date.parse(nextAt);
    this.#state = held === 0 ? null : { until, perMinute, reason: result.reason ?? 'the forge’s limits' };
    return held;
  }

  /** What held starts back no longer applies, as after a change of the group's scope. */
  clear(): void {
    this.#state = null;
  }

  /** Until when starts are held back, milliseconds since the epoch; undefined where none are. */
  holdsUntil(now: number): number | undefined {
    return this.#state !== null && now < this.#state.until ? this.#state.until : undefined;
  }

  /** @param heldBack how many runners should start, were it not for the pace */
  view(heldBack: number, now: number): GroupPace | null {
    if (this.#state === null || heldBack === 0 || this.holdsUntil(now) === undefined) return null;
    const { until, perMinute, reason } = this.#state;
    return { heldBack, until: new Date(until).toISOString(), perMinute, reason };
  }

  toState(): PaceState {
    return this.#state;
  }
}
