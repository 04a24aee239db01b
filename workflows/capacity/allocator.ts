import type { PlacesAnswer, PlacesNews, PlacesSnapshot, PlacesStatement } from '../../contracts/workflows/actors.ts';

interface Holder {
  number: number;
  priority: number;
  /** Runners that the group may have: what it said it has, and what it was given since. */
  allowed: number;
  /** Since when the jobs wait for which it wants more, oldest first; null for a runner kept warm. */
  wants: (number | null)[];
  /** What it was told last for that number; -1: nothing yet. */
  told: number;
}

/** A {@link Keeper} as JSON, for continue-as-new. */
export interface KeeperState {
  max: number | null;
  groups: string[];
  holders: [group: string, holder: Holder][];
}

/**
 * Who holds the places of one capped backend. What all groups are allowed together never passes the cap (but where it was
 * lowered below what there is: then nothing is given until enough has ended). Pure.
 */
export class Keeper {
  /** Null: not capped (any more). */
  #max: number | null;
  /** The groups on this backend, by the configuration. */
  #groups: string[];
  readonly #holders: Map<string, Holder>;

  constructor(state?: KeeperState) {
    this.#max = state?.max ?? null;
    this.#groups = state?.groups ?? [];
    this.#holders = new Map(state?.holders);
  }

  get max(): number | null {
    return this.#max;
  }

  hear(item: PlacesNews): void {
    if (item.type === 'configure') {
      this.#max = item.max;
      this.#groups = item.groups;
      return;
    }
    this.#state(item.statement);
  }

  /**
   * Gives free places away: to the group of the highest priority (the lowest number), and among those to the job that waits
   * longest; runners kept warm come last.
   *
   * @returns answers to be told: to each new statement, and whenever a group is allowed more
   */
  give(backend: string): { group: string; places: PlacesAnswer }[] {
    for (let free = this.#free(); free > 0; free--) {
      const next = this.#next();
      if (next === undefined) break;
      next.allowed += 1;
      next.wants.shift();
    }
    const answers: { group: string; places: PlacesAnswer }[] = [];
    for (const [group, holder] of this.#holders) {
      if (holder.told === holder.allowed) continue;
      holder.told = holder.allowed;
      answers.push({ group, places: { backend, number: holder.number, allowed: holder.allowed } });
    }
    return answers;
  }

  snapshot(backend: string): PlacesSnapshot {
    // One that left is kept, so that a statement of before which comes again does no harm; it need not be seen.
    const seen = [...this.#holders].filter(([group, { allowed }]) => allowed > 0 || this.#groups.includes(group));
    const groups = seen.map(([group, { priority, allowed, wants }]) => {
      const oldest = wants[0] ?? null;
      return {
        group,
        priority,
        allowed,
        wants: wants.length,
        oldestSince: oldest === null ? null : new Date(oldest).toISOString(),
      };
    });
    return { backend, max: this.#max ?? 0, groups, silent: this.#silent() };
  }

  toState(): KeeperState {
    return { max: this.#max, groups: this.#groups, holders: [...this.#holders] };
  }

  #state({ group, number, priority, have, wants }: PlacesStatement): void {
    const known = this.#holders.get(group);
    if (known !== undefined && known.number >= number) return;
    this.#holders.set(group, { number, priority, allowed: have, wants: [...wants], told: -1 });
  }

  #free(): number {
    // Somebody who did not say yet how many it has may have any number.
    if (this.#max === null || this.#silent().length > 0) return 0;
    let free = this.#max;
    for (const { allowed } of this.#holders.values()) free -= allowed;
    return free;
  }

  #silent(): string[] {
    return this.#groups.filter((group) => !this.#holders.has(group));
  }

  #next(): Holder | undefined {
    let best: Holder | undefined;
    for (const holder of this.#holders.values()) {
      if (holder.wants.length > 0 && (best === undefined || before(holder, best))) best = holder;
    }
    return best;
  }
}

function before(a: Holder, b: Holder): boolean {
  const warm = (holder: Holder): boolean => holder.wants[0] === null;
  // A job comes before a runner that is only kept warm, whoever's it is.
  if (warm(a) !== warm(b)) return warm(b);
  if (a.priority !== b.priority) return a.priority < b.priority;
  return (a.wants[0] ?? 0) < (b.wants[0] ?? 0);
}
