import { PRIORITIES, type Priority } from './call.ts';
import type { CallRequest, Queues } from './budget.ts';
import type { QueueLength } from './state.ts';

/** A call in the queue. */
export interface Ticket {
  call: CallRequest;
  /** Its place among those of its priority: a call that is sent again keeps it. */
  sequence: number;
  queuedAt: number;
  /** Until then it may wait, milliseconds since the epoch. */
  deadline: number;
  /** Before then it isn't sent (again). */
  notBefore: number;
  /** Ends the wait: the call may be sent (points were taken at the given time), or never will be. */
  admit: (takenAt: number) => void;
  reject: (error: unknown) => void;
}

/**
 * The calls that wait, by priority, first come first served within one. Not a library's queue: those start what is next as soon
 * as a slot is free. Here, whether a call may start depends on its priority and on a budget that is asked asynchronously, and a
 * waiting call must not take a slot from a more urgent one that comes later.
 */
export class CallQueue {
  readonly #waiting: Readonly<Record<Priority, Ticket[]>> = { registration: [], removal: [], background: [] };

  get isEmpty(): boolean {
    return PRIORITIES.every((priority) => this.#waiting[priority].length === 0);
  }

  add(ticket: Ticket): void {
    const list = this.#waiting[ticket.call.priority];
    const before = list.findLastIndex(({ sequence }) => sequence < ticket.sequence);
    list.splice(before + 1, 0, ticket);
  }

  /** @returns false where it doesn't wait any more */
  remove(ticket: Ticket): boolean {
    const list = this.#waiting[ticket.call.priority];
    const index = list.indexOf(ticket);
    if (index < 0) return false;
    list.splice(index, 1);
    return true;
  }

  /**
   * The first calls that may be sent now, most urgent first: at most so many of each priority. Calls that something holds back
   * don't hold back those behind them, which may have another scope; where all are held back, the first one is asked for.
   */
  pick(slots: ReadonlyMap<Priority, number>, isHeldBack: (call: CallRequest) => boolean, now: number): Ticket[] {
    return PRIORITIES.flatMap((priority) => {
      const count = slots.get(priority) ?? 0;
      if (count <= 0) return [];
      const due = this.#waiting[priority].filter(({ notBefore }) => notBefore <= now);
      const free = due.filter(({ call }) => !isHeldBack(call));
      return free.length > 0 ? free.slice(0, count) : due.slice(0, 1);
    });
  }

  list(): Ticket[] {
    return PRIORITIES.flatMap((priority) => this.#waiting[priority]);
  }

  /** What waits, by priority. */
  getLengths(): Queues {
    const measure = (priority: Priority): QueueLength => {
      const list = this.#waiting[priority];
      return {
        waiting: list.length,
        points: list.reduce((sum, { call }) => sum + call.cost, 0),
        since: list.reduce((first, { queuedAt }) => Math.min(first, queuedAt), list[0]?.queuedAt ?? 0),
      };
    };
    return { registration: measure('registration'), removal: measure('removal'), background: measure('background') };
  }
}
