/** Remembers for a while which zones had no capacity, so that the next runner doesn't begin with one of them. */
export class DryZones {
  readonly #until = new Map<string, number>();
  readonly #dryForMs: number;

  constructor(forMs: number) {
    this.#dryForMs = forMs;
  }

  add(zone: string): void {
    this.#until.set(zone, Date.now() + this.#dryForMs);
  }

  /** It had capacity, after all. */
  remove(zone: string): void {
    this.#until.delete(zone);
  }

  /** The same zones in the same order, but the dry ones last: better tried than not made. */
  order(zones: readonly string[]): string[] {
    const now = Date.now();
    const dry = (zone: string): boolean => (this.#until.get(zone) ?? 0) > now;
    return [...zones.filter((zone) => !dry(zone)), ...zones.filter(dry)];
  }
}
