/**
 * A budget of points per minute, as GitHub counts: a read costs 1, a write 5. Pure: the stored state and its changes.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
 */
export interface BudgetState {
  /** The points left at the time `at`; they refill with time. */
  points: number;
  /** Milliseconds since the epoch. */
  at: number;
  /** Until then the forge accepts no call (retry-after, or the primary limit is used up); 0: not blocked. */
  blockedUntil: number;
  /** The primary limit as the forge reported it: requests per hour. */
  primary?: { limit: number; remaining: number; resetAt: number } | undefined;
}

/** From most to least urgent: a machine waits for a registration or for a re-run; a removal; a look at the state. */
export type Urgency = 'registration' | 'removal' | 'background';

/** The part of the burst and of the primary limit that a call leaves to more urgent ones. */
const RESERVED: Readonly<Record<Urgency, number>> = { registration: 0, removal: 0.1, background: 0.3 };
/** The part of a minute's points that can be used at once after a pause; the rest refills steadily during a minute. */
const BURST = 1 / 3;

export interface Plan {
  /** Points that can be used at once, after a pause. */
  burst: number;
  /** Points that refill per second. */
  perSecond: number;
}

/** @param pointsPerMinute 0: only the limits in the forge's answers apply */
export function toPlan(pointsPerMinute: number): Plan | undefined {
  if (pointsPerMinute === 0) return undefined;
  return { burst: pointsPerMinute * BURST, perSecond: (pointsPerMinute * (1 - BURST)) / 60 };
}

export function fullBudget(plan: Plan | undefined, now: number): BudgetState {
  return { points: plan?.burst ?? 0, at: now, blockedUntil: 0 };
}

/** How many milliseconds this call has to wait; 0: it may be sent. */
export function computeWait(
  state: BudgetState,
  plan: Plan | undefined,
  call: { cost: number; urgency: Urgency },
  now: number,
): number {
  if (state.blockedUntil > now) return state.blockedUntil - now;
  const { primary } = state;
  const reserved = RESERVED[call.urgency];
  if (primary !== undefined && primary.resetAt > now && primary.remaining <= primary.limit * reserved) {
    return primary.resetAt - now;
  }
  if (plan === undefined) return 0;
  // Every call must be possible at some time, however small the budget.
  const needed = Math.min(call.cost + plan.burst * reserved, plan.burst);
  const missing = needed - computePoints(state, plan, now);
  return missing <= 0 ? 0 : Math.ceil((missing / plan.perSecond) * 1000);
}

/** The state after a call was sent. */
export function spend(state: BudgetState, plan: Plan | undefined, cost: number, now: number): BudgetState {
  const primary = state.primary && { ...state.primary, remaining: state.primary.remaining - 1 };
  const points = plan === undefined ? 0 : computePoints(state, plan, now) - cost;
  return { ...state, points, at: now, primary };
}

/** The limits in an answer of the forge. */
export interface ObservedLimits {
  status: number;
  limit: number | undefined;
  remaining: number | undefined;
  /** Milliseconds since the epoch. */
  resetAt: number | undefined;
  retryAfterSeconds: number | undefined;
}

/** The wait after a secondary limit whose answer has no `retry-after`. */
const SECONDARY_LIMIT_MS = 60_000;

/** The state after an answer: the forge's own numbers take precedence. */
export function observeLimits(state: BudgetState, limits: ObservedLimits, now: number): BudgetState {
  const { limit, remaining, resetAt } = limits;
  const known = limit !== undefined && remaining !== undefined && resetAt !== undefined;
  // Answers arrive in any order: within one window the smallest number is the newest.
  const older = state.primary !== undefined && known && state.primary.resetAt === resetAt;
  const primary = known
    ? { limit, resetAt, remaining: older ? Math.min(remaining, state.primary?.remaining ?? remaining) : remaining }
    : state.primary;
  return { ...state, primary, blockedUntil: Math.max(state.blockedUntil, toBlockedUntil(limits, now)) };
}

function toBlockedUntil({ status, remaining, resetAt, retryAfterSeconds }: ObservedLimits, now: number): number {
  if (status !== 403 && status !== 429) return 0;
  if (retryAfterSeconds !== undefined) return now + retryAfterSeconds * 1000;
  if (remaining === 0 && resetAt !== undefined) return resetAt;
  // A 403 without these headers is a missing permission.
  return status === 429 ? now + SECONDARY_LIMIT_MS : 0;
}

function computePoints(state: BudgetState, plan: Plan, now: number): number {
  return Math.min(plan.burst, state.points + (Math.max(0, now - state.at) / 1000) * plan.perSecond);
}

/** What a call costs and how urgent it is, by its method and path. */
export function classifyCall(method: string, path: string): { cost: number; urgency: Urgency } {
  const cost = method === 'GET' || method === 'HEAD' ? 1 : 5;
  if (/\/generate-jitconfig$|\/access_tokens$|\/runner-groups$/.test(path)) return { cost, urgency: 'registration' };
  // Calls of a delegation: its runner already waits for the re-run, and new labels keep the proxies from taking it.
  if (/\/actions\/jobs\/\d+\/rerun$|\/runners\/\d+\/labels$/.test(path)) return { cost, urgency: 'registration' };
  if (/\/actions\/runners(\/\d+)?$/.test(path)) return { cost, urgency: 'removal' };
  return { cost, urgency: 'background' };
}
