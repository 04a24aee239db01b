/** Measures for how long a sign of life has not changed. */
export class Silence {
  #last: { sign: string; since: number; seen: number } | undefined;

  /**
   * How long the sign has been the same. Where nobody looked for longer than `maxGapMs`, time begins again: this process may have
   * been stopped, together with those whose sign it looks for.
   *
   * @param now a monotonic clock, ms
   * @returns ms
   */
  measure(sign: string, now: number, maxGapMs: number): number {
    const last = this.#last;
    const since = last?.sign === sign && now - last.seen <= maxGapMs ? last.since : now;
    this.#last = { sign, since, seen: now };
    return now - since;
  }

  /** Begins again: signs could not be seen for a while. */
  reset(): void {
    this.#last = undefined;
  }
}
