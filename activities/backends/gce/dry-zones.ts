/** Remembers for a while which zones had no capacity, so that the next create doesn't try one of them first. */
export class DryZones {
  readonly #until = new Map<string, number>();
  readonly #dryForMs: number;

  constructor(forMs: number) {
    this.#dryForMs = forMs;
  }

  add(zone: string): void {
    this.#until.set(zone, Date.now() + this.#dryForMs);
  }

  /** The zone has capacity again. */
  remove(zone: string): void {
    this.#until.delete(zone);
  }

  /** The same zones in the same order, but the dry ones last: they are tried when all others fail. */
  order(zones: readonly string[]): string[] {
    const now = Date.now();
    const dry = (zone: string): boolean => (this.#until.get(zone) ?? 0) > now;
    return [...zones.filter((zone) => !dry(zone)), ...zones.filter(dry)];
  }
}
