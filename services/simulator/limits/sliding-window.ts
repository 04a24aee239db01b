/** The sum of what was added within the last `lengthMs`. Every addition counts for exactly that long. */
export class SlidingWindow {
  #entries: { at: number; amount: number }[] = [];
  /** Entries before this index are over; they are dropped together, now and then. */
  #first = 0;
  #sum = 0;

  /** Adds to the sum. */
  add(amount: number, now: number): void {
    this.#entries.push({ at: now, amount });
    this.#sum += amount;
  }

  /** The sum of the last `lengthMs`. */
  sum(lengthMs: number, now: number): number {
    for (
      let entry = this.#entries[this.#first];
      entry && entry.at <= now - lengthMs;
      entry = this.#entries[this.#first]
    ) {
      this.#sum -= entry.amount;
      this.#first++;
    }
    if (this.#first > 1_000) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return this.#sum;
  }
}
