import { z } from 'zod';
import { addUse, windowUses, type WindowLength, type WindowUses } from '../../../lib/sliding-window.ts';
import type { Blocks } from './blocks.ts';
import type { ForgeCall, Priority } from './call.ts';
import type { PrimaryLimit } from './limits.ts';

/** How many calls of a priority wait in a process, what they cost, and since when the first does (0: none waits). */
export interface QueueLength {
  waiting: number;
  points: number;
  since: number;
}

/** What all processes know together of one App's (or the token's) limits. All times are milliseconds since the epoch. */
export interface BudgetState {
  /** The points used in the last minute. */
  uses: Readonly<Record<Priority, WindowUses>>;
  /** The queues of the processes that have calls waiting, and when they last said so. */
  queues: Readonly<Record<string, { at: number } & Readonly<Record<Priority, QueueLength>>>>;
  /** The primary limits as last reported, by what counts against them: see {@link toResource}. */
  primary: Readonly<Record<string, PrimaryLimit>>;
  /** The resource that registrations were last counted against. */
  registrationResource: string;
  blocks: Blocks;
}

export const EMPTY_STATE: BudgetState = {
  uses: { registration: [], removal: [], background: [] },
  queues: {},
  primary: {},
  registrationResource: 'core',
  blocks: {},
};

const queueLength = z.strictObject({ waiting: z.number(), points: z.number(), since: z.number() });

/** The stored form of {@link BudgetState}. */
export const budgetState: z.ZodType<BudgetState> = z.strictObject({
  uses: z.strictObject({ registration: windowUses, removal: windowUses, background: windowUses }),
  queues: z.record(
    z.string(),
    z.strictObject({ at: z.number(), registration: queueLength, removal: queueLength, background: queueLength }),
  ),
  primary: z.record(
    z.string(),
    z.strictObject({ resource: z.string(), limit: z.number(), remaining: z.number(), resetAt: z.number() }),
  ),
  registrationResource: z.string(),
  blocks: z.record(
    z.string(),
    z.strictObject({
      kind: z.enum(['primary', 'secondary', 'outage']),
      since: z.number(),
      until: z.number(),
      inARow: z.number(),
      probeUntil: z.number(),
    }),
  ),
});

/** GitHub's primary limits are those of an hour, and no other wait that it asks for is as long. */
const MAX_LIMIT_MS = 2 * 3_600_000;
/** A call that tries whether a block is over takes a minute. */
const MAX_PROBE_MS = 300_000;
const MAX_QUEUE_AHEAD_MS = 60_000;

/**
 * The state without what a clock that is far ahead has stamped, so that nothing waits for as long as that clock is ahead: uses count
 * as made now, and the rest is forgotten. A limit that is forgotten, but holds, is reported again by the next call.
 */
export function correctStamps(state: BudgetState, window: WindowLength, now: number): BudgetState {
  const { uses, queues, primary, blocks } = state;
  const restamp = (stored: WindowUses): WindowUses => addUse(stored, window, 0, now);
  const keep = <T>(values: Readonly<Record<string, T>>, isRight: (value: T) => boolean): Record<string, T> =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => isRight(value)));
  return {
    ...state,
    uses: {
      registration: restamp(uses.registration),
      removal: restamp(uses.removal),
      background: restamp(uses.background),
    },
    queues: keep(queues, ({ at }) => at <= now + MAX_QUEUE_AHEAD_MS),
    primary: keep(primary, ({ resetAt }) => resetAt <= now + MAX_LIMIT_MS),
    blocks: keep(blocks, ({ until, probeUntil }) => until <= now + MAX_LIMIT_MS && probeUntil <= now + MAX_PROBE_MS),
  };
}

/** What a call counts against in the primary limits. */
export function toResource(state: BudgetState, { actor, registers }: ForgeCall): string {
  return `${actor} ${registers === undefined ? 'core' : state.registrationResource}`;
}

/** The state after an answer reported a primary limit. */
export function applyPrimaryLimit(state: BudgetState, call: ForgeCall, reported: PrimaryLimit): BudgetState {
  const key = `${call.actor} ${reported.resource}`;
  const known = state.primary[key];
  // Answers arrive in any order: within one window the smallest number is the newest.
  const isOlder = known !== undefined && known.resetAt === reported.resetAt && known.remaining < reported.remaining;
  return {
    ...state,
    primary: isOlder ? state.primary : { ...state.primary, [key]: reported },
    registrationResource: call.registers === undefined ? state.registrationResource : reported.resource,
  };
}
