/** A seeded source of random numbers: the same seed gives the same faults and assignments. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** True with the given probability, 0 to 1. */
  chance(rate: number): boolean;
  /** One of the items; undefined when there are none. */
  pick<T>(items: readonly T[]): T | undefined;
  /** A new array in random order. */
  shuffle<T>(items: readonly T[]): T[];
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number;
}

/** Mulberry32, which is small, fast, and good enough to choose faults. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    integer,
    chance: (rate) => rate > 0 && next() < rate,
    pick: (items) => items[integer(0, items.length - 1)],
    shuffle: (items) => {
      const mixed = [...items];
      for (let index = mixed.length - 1; index > 0; index--) {
        const other = integer(0, index);
        const [a, b] = [mixed[index], mixed[other]];
        if (a !== undefined && b !== undefined) [mixed[index], mixed[other]] = [b, a];
      }
      return mixed;
    },
  };
}
