import type { SlotGrant, SlotRequest } from '../../contracts/workflows/capacity.ts';

/** After this time without a grant, the request is sent again. */
const GRANT_TIMEOUT_MS = 60_000;
/** The most slots that one request asks for, longest wait first; the next request asks for more. */
const MAX_WANTED = 100;

interface BackendSlots {
  /** Of the last request; 0 before the first. */
  number: number;
  requestedAt: number;
  /** As in the last request. */
  held: number;
  wanted: (number | null)[];
  answered: boolean;
  /** Starts that its grants allow, and how many of them were used. */
  granted: number;
  used: number;
}

export type SlotsState = [backend: string, slots: BackendSlots][];

/** What a dispatcher holds and wants on one backend. */
export type SlotNeeds = Omit<SlotRequest, 'number'>;

/**
 * A dispatcher's slots on capped backends. No runner starts without a slot. The slot of a runner that is gone is released by
 * the next request, so that it can be granted to the job that waits longest.
 */
export class SlotTracker {
  readonly #backends: Map<string, BackendSlots>;

  constructor(state?: SlotsState) {
    this.#backends = new Map(state);
  }

  /** How many of the wanted starts are allowed now. */
  countStartable(backend: string, wanted: number): number {
    const slots = this.#backends.get(backend);
    return slots === undefined ? 0 : Math.max(0, Math.min(wanted, slots.granted - slots.used));
  }

  /** Records that so many runners were started. */
  use(backend: string, count: number): void {
    const slots = this.#backends.get(backend);
    if (slots) slots.used += count;
  }

  /** Records that so many of them were not started after all. */
  giveBack(backend: string, count: number): void {
    const slots = this.#backends.get(backend);
    if (slots) slots.used = Math.max(0, slots.used - count);
  }

  /** Applies a grant. A grant for an older request no longer counts. */
  applyGrant({ backend, number, allowed }: SlotGrant): void {
    const slots = this.#backends.get(backend);
    if (slots?.number !== number) return;
    slots.answered = true;
    slots.granted = Math.max(slots.granted, allowed - slots.held);
  }

  /** Makes every request due again: the capacity workflow may have lost them. */
  requestAgain(): void {
    for (const slots of this.#backends.values()) slots.number = 0;
  }

  /** Forgets a backend that is no longer capped. */
  drop(backend: string): void {
    this.#backends.delete(backend);
  }

  /** The backends on which this group holds or wants slots. */
  backends(): string[] {
    return [...this.#backends.keys()];
  }

  /** Whether the last request said that nothing is held and nothing is wanted. */
  isReleased(backend: string): boolean {
    const slots = this.#backends.get(backend);
    return slots === undefined || (slots.number > 0 && slots.held === 0 && slots.wanted.length === 0);
  }

  /** The request to send now, where the last one is out of date; it releases the slots that it does not ask for. */
  takeDueRequest(needs: SlotNeeds, now: number): SlotRequest | undefined {
    const { backend, held } = needs;
    const slots = this.#backends.get(backend) ?? unrequested();
    const wanted = needs.wanted.slice(0, MAX_WANTED);
    if (slots.number > 0) {
      if (!slots.answered && now < slots.requestedAt + GRANT_TIMEOUT_MS) return undefined;
      const unchanged =
        slots.answered &&
        held === slots.held + slots.used &&
        slots.granted === slots.used &&
        JSON.stringify(wanted) === JSON.stringify(slots.wanted.slice(slots.granted, slots.granted + wanted.length)) &&
        wanted.length === Math.min(MAX_WANTED, Math.max(0, slots.wanted.length - slots.granted));
      if (unchanged) return undefined;
    }
    // Higher than any number that an earlier dispatcher of this group used, too.
    const number = Math.max(slots.number + 1, slots.requestedAt + 1, now);
    this.#backends.set(backend, { number, requestedAt: now, held, wanted, answered: false, granted: 0, used: 0 });
    return { ...needs, wanted, number };
  }

  /** When the oldest unanswered request is overdue, milliseconds since the epoch. */
  findOverdueAt(): number | undefined {
    const open = [...this.#backends.values()].filter(({ number, answered }) => number > 0 && !answered);
    return open.length === 0 ? undefined : Math.min(...open.map(({ requestedAt }) => requestedAt + GRANT_TIMEOUT_MS));
  }

  /** How many runners wait for a slot. */
  countWanted(): number {
    let count = 0;
    for (const { wanted, granted } of this.#backends.values()) count += Math.max(0, wanted.length - granted);
    return count;
  }

  toState(): SlotsState {
    return [...this.#backends];
  }
}

function unrequested(): BackendSlots {
  return { number: 0, requestedAt: 0, held: 0, wanted: [], answered: false, granted: 0, used: 0 };
}
