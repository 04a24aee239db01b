import type { CapacityEvent, CapacitySnapshot, SlotGrant, SlotRequest } from '../../contracts/workflows/capacity.ts';

interface GroupSlots {
  /** Of the group's newest request. */
  number: number;
  priority: number;
  /** Runners that the group may have: those it reported, and what it was granted since. */
  allowed: number;
  /** Since when the jobs wait for which it wants more slots, oldest first; null for an idle runner. */
  wanted: (number | null)[];
  /** What was granted last for that request; -1: nothing yet. */
  granted: number;
}

/** A {@link CapacityAllocator} as JSON, for continue-as-new. */
export interface CapacityState {
  max: number | null;
  groups: string[];
  slots: [group: string, slots: GroupSlots][];
}

/**
 * Allocates the slots of one capped backend to groups. What all groups are allowed together never exceeds the cap. (Where the
 * cap was lowered below what exists, nothing is granted until enough runners have ended.) Pure.
 */
export class CapacityAllocator {
  /** Null: no cap (any more). */
  #max: number | null;
  /** The groups on this backend, from the configuration. */
  #groups: string[];
  readonly #slots: Map<string, GroupSlots>;

  constructor(state?: CapacityState) {
    this.#max = state?.max ?? null;
    this.#groups = state?.groups ?? [];
    this.#slots = new Map(state?.slots);
  }

  get max(): number | null {
    return this.#max;
  }

  apply(event: CapacityEvent): void {
    if (event.type === 'configure') {
      this.#max = event.max;
      this.#groups = event.groups;
      return;
    }
    this.#request(event.request);
  }

  /**
   * Grants free slots: to the group of the highest priority (the lowest number), and among equals to the job that waits
   * longest; idle runners come last.
   *
   * @returns the grants to send: one for each new request, and one whenever a group is allowed more
   */
  allocate(backend: string): { group: string; grant: SlotGrant }[] {
    for (let free = this.#free(); free > 0; free--) {
      const next = this.#next();
      if (next === undefined) break;
      next.allowed += 1;
      next.wanted.shift();
    }
    const grants: { group: string; grant: SlotGrant }[] = [];
    for (const [group, slots] of this.#slots) {
      if (slots.granted === slots.allowed) continue;
      slots.granted = slots.allowed;
      grants.push({ group, grant: { backend, number: slots.number, allowed: slots.allowed } });
    }
    return grants;
  }

  toSnapshot(backend: string): CapacitySnapshot {
    // The entry of a removed group is kept, so that a repeated old request has no effect; it is not shown.
    const shown = [...this.#slots].filter(([group, { allowed }]) => allowed > 0 || this.#groups.includes(group));
    const groups = shown.map(([group, { priority, allowed, wanted }]) => {
      const oldest = wanted[0] ?? null;
      return {
        group,
        priority,
        allowed,
        wanted: wanted.length,
        oldestSince: oldest === null ? null : new Date(oldest).toISOString(),
      };
    });
    return { backend, max: this.#max ?? 0, groups, silent: this.#silent() };
  }

  toState(): CapacityState {
    return { max: this.#max, groups: this.#groups, slots: [...this.#slots] };
  }

  #request({ group, number, priority, held, wanted }: SlotRequest): void {
    const known = this.#slots.get(group);
    if (known !== undefined && known.number >= number) return;
    this.#slots.set(group, { number, priority, allowed: held, wanted: [...wanted], granted: -1 });
  }

  #free(): number {
    // A group that has not reported its runners yet may have any number of them.
    if (this.#max === null || this.#silent().length > 0) return 0;
    let free = this.#max;
    for (const { allowed } of this.#slots.values()) free -= allowed;
    return free;
  }

  #silent(): string[] {
    return this.#groups.filter((group) => !this.#slots.has(group));
  }

  #next(): GroupSlots | undefined {
    let best: GroupSlots | undefined;
    for (const slots of this.#slots.values()) {
      if (slots.wanted.length > 0 && (best === undefined || comesBefore(slots, best))) best = slots;
    }
    return best;
  }
}

function comesBefore(a: GroupSlots, b: GroupSlots): boolean {
  const wantsIdle = (slots: GroupSlots): boolean => slots.wanted[0] === null;
  // A job of any group comes before an idle runner of any group.
  if (wantsIdle(a) !== wantsIdle(b)) return wantsIdle(b);
  if (a.priority !== b.priority) return a.priority < b.priority;
  return (a.wanted[0] ?? 0) < (b.wanted[0] ?? 0);
}
