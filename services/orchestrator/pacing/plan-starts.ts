import { z } from 'zod';
import {
  addUse,
  computeWindowWait,
  countUsed,
  windowUses,
  type WindowLength,
  type WindowUses,
} from '../../../activities/lib/sliding-window.ts';
import { formatDuration } from '../../../contracts/format.ts';
import type { RegistrationOutlook } from '../../../contracts/ports/forge.ts';
import type { StartAllowance, WantedStarts } from '../../../contracts/ports/start-pacer.ts';

/**
 * How many runners may start now. Pure. Each start leads to one registration, so starts follow the same limits, in windows that
 * are a little shorter than those of the calls: what can be registered must never wait for an instance.
 */

/** The starts of a scope. */
export interface StartUses {
  minute: WindowUses;
  fiveMinutes: WindowUses;
}

/** The stored form of {@link StartUses}. */
export const startUses = z.strictObject({ minute: windowUses, fiveMinutes: windowUses });

export const NO_STARTS: StartUses = { minute: [], fiveMinutes: [] };

const MINUTE: WindowLength = { lengthMs: 60_000, slotMs: 500, marginMs: 0 };
const FIVE_MINUTES: WindowLength = { lengthMs: 300_000, slotMs: 2000, marginMs: 0 };
/**
 * Of a minute's starts, what idle runners may use; the rest is for jobs, which may arrive at any time.
 */
const IDLE_SHARE = 0.8;
/**
 * When registrations wait for longer than this, enough instances wait for theirs. A budget that was used up at once is free again
 * after a little more than a minute: that is no reason to wait any longer.
 */
const MAX_REGISTRATION_WAIT_MS = 90_000;
/** Held-back starts go on in steps of a twelfth of a minute, not one by one: each step costs events of the group's workflow. */
const STEPS_PER_MINUTE = 12;
/** What is known of a block may change at any time, so it is looked at again after this. */
const MAX_BLOCK_MS = 60_000;
const MIN_WAIT_MS = 250;

/** @param forge its name for people, such as `GitHub` */
export function planStarts(
  uses: StartUses,
  wanted: WantedStarts,
  outlook: RegistrationOutlook,
  { forge, now }: { forge: string; now: number },
): { uses: StartUses; allowance: StartAllowance } {
  const { perMinute, perFiveMinutes, waitMs, blocked } = outlook;
  const all = wanted.jobs + wanted.idle;
  const hold = (allowed: number, forMs: number, reason: string): StartAllowance =>
    allowed === all
      ? { allowed, nextAt: null, perMinute, reason: null }
      : { allowed, nextAt: now + Math.max(MIN_WAIT_MS, forMs), perMinute, reason };

  if (blocked !== null && waitMs > 0) {
    return { uses, allowance: hold(0, Math.min(waitMs, MAX_BLOCK_MS), blocked) };
  }
  if (perMinute === null) return { uses, allowance: hold(all, 0, '') };

  const tooLongMs = Math.min(Math.max(0, waitMs - MAX_REGISTRATION_WAIT_MS), MAX_BLOCK_MS);
  const cap = Math.max(1, perMinute);
  const idleCap = Math.max(1, Math.floor(cap * IDLE_SHARE));
  const used = countUsed(uses.minute, MINUTE, now);
  const left = (perFiveMinutes ?? Number.POSITIVE_INFINITY) - countUsed(uses.fiveMinutes, FIVE_MINUTES, now);
  const room = tooLongMs > 0 ? 0 : left;
  const jobs = limit(wanted.jobs, cap - used, room);
  const idle = limit(wanted.idle, idleCap - used - jobs, room - jobs);
  const allowed = jobs + idle;
  const next: StartUses = {
    minute: addUse(uses.minute, MINUTE, allowed, now),
    fiveMinutes: addUse(uses.fiveMinutes, FIVE_MINUTES, allowed, now),
  };
  // Where jobs wait, the next step is theirs.
  const nextCap = wanted.jobs > jobs ? cap : idleCap;
  const step = Math.min(all - allowed, Math.max(1, Math.floor(cap / STEPS_PER_MINUTE)));
  const inMinute = computeWindowWait(next.minute, MINUTE, nextCap, step, now);
  const inFive =
    perFiveMinutes === null ? 0 : computeWindowWait(next.fiveMinutes, FIVE_MINUTES, perFiveMinutes, step, now);
  const limits = [
    { waitMs: inMinute, reason: `${forge} lets ${perMinute} a minute register` },
    { waitMs: inFive, reason: `${forge} lets ${perFiveMinutes} register in 5 minutes` },
    { waitMs: tooLongMs, reason: `registrations already wait ${formatDuration(waitMs)} for ${forge}’s limits` },
  ];
  const [longest] = limits.toSorted((a, b) => b.waitMs - a.waitMs);
  return { uses: next, allowance: hold(allowed, longest?.waitMs ?? 0, longest?.reason ?? '') };
}

function limit(wanted: number, ...rooms: number[]): number {
  return Math.max(0, Math.min(wanted, ...rooms));
}
