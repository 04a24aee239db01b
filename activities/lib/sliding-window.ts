import { z } from 'zod';

/**
 * What was used of a limit "so many in so long", in small time slots: the number of a slot and the amount used in it, oldest
 * first. Plain data, to be kept where several processes share it.
 */
export type WindowUses = readonly (readonly [slot: number, amount: number])[];

/** The stored form of {@link WindowUses}. */
export const windowUses = z.array(z.tuple([z.number().int(), z.number().nonnegative()]));

/** The length of a sliding window, all in milliseconds. */
export interface WindowLength {
  /** Of the limit itself: no more than the cap in any span of this length. */
  lengthMs: number;
  /** Of one slot: a use counts as made at the end of its slot, so short slots lose little. */
  slotMs: number;
  /** Added to the length, for clocks that differ and for calls that arrive later than they were counted. */
  marginMs: number;
}

/**
 * Adds an amount used now, and forgets what has left the window. A negative amount gives back what was not used. Time never goes
 * back: see {@link alignTime}.
 */
export function addUse(stored: WindowUses, length: WindowLength, amount: number, clock: number): WindowUses {
  const { uses, now } = alignTime(stored, length, clock);
  const slot = Math.floor(now / length.slotMs);
  const added = new Map(uses.filter(([old]) => getEnd(old, length) > now));
  added.set(slot, Math.max(0, (added.get(slot) ?? 0) + amount));
  return [...added].filter(([, used]) => used > 0).sort(([a], [b]) => a - b);
}

/** The amount used in the window that ends now. */
export function countUsed(stored: WindowUses, length: WindowLength, clock: number): number {
  const { uses, now } = alignTime(stored, length, clock);
  return uses.reduce((sum, [slot, amount]) => (getEnd(slot, length) > now ? sum + amount : sum), 0);
}

/**
 * How many milliseconds until that amount can be used under the cap; 0: now. An amount above the cap takes several windows: the
 * wait until its last part can be used, if nobody else uses any.
 *
 * @param cap above 0
 */
export function computeWindowWait(
  stored: WindowUses,
  length: WindowLength,
  cap: number,
  amount: number,
  clock: number,
): number {
  const { uses, now } = alignTime(stored, length, clock);
  const period = length.lengthMs + length.slotMs + length.marginMs;
  const fullWindows = Math.max(0, Math.ceil(amount / cap) - 1);
  let free = cap - countUsed(uses, length, now);
  const needed = amount - fullWindows * cap;
  if (needed <= free) return fullWindows * period;
  for (const [slot, used] of uses) {
    const end = getEnd(slot, length);
    if (end <= now) continue;
    free += used;
    if (needed <= free) return end - now + fullWindows * period;
  }
  return (fullWindows + 1) * period;
}

/** Whether a clock that is wrong stamped some of the uses: see {@link alignTime}. They have to be stored anew. */
export function hasWrongStamps(uses: WindowUses, { slotMs, lengthMs }: WindowLength, clock: number): boolean {
  return uses.some(([slot]) => slot > Math.floor((clock + lengthMs) / slotMs));
}

/**
 * The uses and the time to count them at, where several clocks stamped them. The newest use is never in the future: a clock that is
 * behind it takes its time, or it would count nothing for the processes whose clocks are right. But a use that is ahead by more than
 * a window was stamped by a clock that is wrong: it counts as made now, so that it holds the others back for one window and not for
 * as long as that clock is ahead.
 */
function alignTime(stored: WindowUses, length: WindowLength, clock: number): { uses: WindowUses; now: number } {
  const { slotMs, lengthMs } = length;
  const own = Math.floor(clock / slotMs);
  if (stored.every(([slot]) => slot <= own)) return { uses: stored, now: clock };
  const latest = Math.floor((clock + lengthMs) / slotMs);
  const uses = new Map<number, number>();
  let newest = own;
  for (const [slot, amount] of stored) {
    const counted = slot > latest ? own : slot;
    uses.set(counted, (uses.get(counted) ?? 0) + amount);
    newest = Math.max(newest, counted);
  }
  const now = newest === own ? clock : newest * slotMs;
  return { uses: [...uses].sort(([a], [b]) => a - b), now };
}

/** When the uses of a slot have left the window, milliseconds since the epoch. */
function getEnd(slot: number, { lengthMs, slotMs, marginMs }: WindowLength): number {
  return (slot + 1) * slotMs + lengthMs + marginMs;
}
