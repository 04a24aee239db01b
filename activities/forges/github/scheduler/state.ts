import { z } from 'zod';
import { windowUses, type WindowUses } from '../../../lib/sliding-window.ts';
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
