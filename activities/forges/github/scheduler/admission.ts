import {
  addUse,
  computeWindowWait,
  countUsed,
  type WindowLength,
  type WindowUses,
} from '../../../lib/sliding-window.ts';
import { claimProbe, findBlock, toBlockKeys } from './blocks.ts';
import { PRIORITIES, type ForgeCall, type Priority } from './call.ts';
import { toResource, type BudgetState, type QueueLength } from './state.ts';

/** The limit on points. */
export interface PointsPlan {
  /** Points per window; 0: no limit of Baton's own. */
  cap: number;
  window: WindowLength;
}

/** GitHub's minute. Half-second slots: the whole cap is free again 61.5 s after a burst. */
export const MINUTE: WindowLength = { lengthMs: 60_000, slotMs: 500, marginMs: 1000 };

/** Of the cap: what a priority may use at most while nothing more urgent waits. */
const MOST: Readonly<Record<Priority, number>> = { registration: 1, removal: 1, background: 0.25 };
/** Of the cap: what is kept for a priority while its calls wait, and all it gets while more urgent ones wait. */
const GUARANTEED: Readonly<Record<Priority, number>> = { registration: 1, removal: 0.1, background: 0.05 };
/** The part of the primary limit that a priority leaves to more urgent ones. */
const RESERVED: Readonly<Record<Priority, number>> = { registration: 0, removal: 0.1, background: 0.3 };
/** When only calls under way use up the primary limit, their answers soon tell what is left. */
const PRIMARY_RECHECK_MS = 500;
/** What a process said about its queue holds for so long. */
const QUEUE_MAX_AGE_MS = 3000;

/** Of which priorities calls wait, in any process. */
export type Waiting = Readonly<Record<Priority, boolean>>;

/** The queues of all processes that still run. */
export function listQueues(state: BudgetState, now: number): Readonly<Record<Priority, QueueLength>>[] {
  return Object.values(state.queues).filter(({ at }) => now - at < QUEUE_MAX_AGE_MS);
}

export function findWaiting(state: BudgetState, now: number): Waiting {
  const queues = listQueues(state, now);
  const waits = (priority: Priority): boolean => queues.some((queue) => queue[priority].waiting > 0);
  return { registration: waits('registration'), removal: waits('removal'), background: waits('background') };
}

/** How many milliseconds a call has to wait for everything that its App's state says; 0: it may be sent. */
export function computeCallWait(
  state: BudgetState,
  plan: PointsPlan,
  call: ForgeCall,
  { waiting, inFlight, now }: { waiting: Waiting; inFlight: number; now: number },
): number {
  return Math.max(
    findBlock(state.blocks, toBlockKeys(call, toResource(state, call)), now)?.waitMs ?? 0,
    computePrimaryWait(state, call, inFlight, now),
    computePointsWait(state, plan, call, waiting, now),
  );
}

/** @param inFlight calls whose answers don't count in the reported limit yet */
export function computePrimaryWait(state: BudgetState, call: ForgeCall, inFlight: number, now: number): number {
  const known = state.primary[toResource(state, call)];
  if (known === undefined || known.resetAt <= now) return 0;
  const reserved = known.limit * RESERVED[call.priority];
  if (known.remaining <= reserved) return known.resetAt - now;
  return known.remaining - inFlight <= reserved ? PRIMARY_RECHECK_MS : 0;
}

/** The wait for points. `call.cost` may be that of many calls. */
export function computePointsWait(
  state: BudgetState,
  { cap, window }: PointsPlan,
  call: ForgeCall,
  waiting: Waiting,
  now: number,
): number {
  if (cap === 0) return 0;
  const { priority } = call;
  const lower = PRIORITIES.slice(PRIORITIES.indexOf(priority) + 1);
  const kept = lower.map((other) =>
    waiting[other] ? Math.max(0, GUARANTEED[other] * cap - countUsed(state.uses[other], window, now)) : 0,
  );
  const isOutranked = PRIORITIES.slice(0, PRIORITIES.indexOf(priority)).some((other) => waiting[other]);
  const share = (isOutranked ? GUARANTEED : MOST)[priority] * cap;
  const wait = (uses: WindowUses, room: number): number => {
    // Every call must be possible at some time, however small the cap: it then takes the whole window.
    const enough = Math.min(cap, Math.max(room, Math.min(call.cost, 5)));
    return computeWindowWait(uses, window, enough, call.cost <= 5 ? Math.min(call.cost, cap) : call.cost, now);
  };
  const all = mergeUses(state);
  const total = wait(all, cap - kept.reduce((sum, part) => sum + part, 0));
  return priority === 'registration' ? total : Math.max(total, wait(state.uses[priority], share));
}

/** The state after a call was sent. */
export function spend(
  state: BudgetState,
  plan: PointsPlan,
  call: ForgeCall,
  { timeoutMs, now }: { timeoutMs: number; now: number },
): BudgetState {
  const keys = toBlockKeys(call, toResource(state, call));
  return {
    ...addPoints(state, plan, call, call.cost, now),
    blocks: claimProbe(state.blocks, keys, timeoutMs, now),
  };
}

/** Counts points as used now; a negative number gives back what was taken and not used. */
export function addPoints(
  state: BudgetState,
  { cap, window }: PointsPlan,
  { priority }: Pick<ForgeCall, 'priority'>,
  points: number,
  now: number,
): BudgetState {
  if (cap === 0) return state;
  return { ...state, uses: { ...state.uses, [priority]: addUse(state.uses[priority], window, points, now) } };
}

function mergeUses({ uses }: BudgetState): WindowUses {
  const slots = new Map<number, number>();
  for (const priority of PRIORITIES) {
    for (const [slot, amount] of uses[priority]) slots.set(slot, (slots.get(slot) ?? 0) + amount);
  }
  return [...slots].sort(([a], [b]) => a - b);
}
