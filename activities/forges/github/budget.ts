/**
 * A budget of points a minute, as GitHub counts: a read costs 1, a change 5. Pure: what the store keeps and how it
 * changes.
 *
 * @see https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
 */
export interface BudgetState {
  /** Points there were at `at`; they come back with time. */
  points: number;
  /** Milliseconds since the epoch. */
  at: number;
  /** Until then the forge wants no call at all (retry-after, or its primary limit is used up); 0: it doesn't say so. */
  blockedUntil: number;
  /** The forge's own word on its primary limit, an hour's requests. */
  primary?: { limit: number; remaining: number; resetAt: number } | undefined;
}

/**
 * What is more urgent: a machine that waits for its registration or for its job's re-run, a removal, or a look around.
 */
export type Urgency = 'registration' | 'removal' | 'background';

/** What less urgent calls leave to the others: of the burst, and of the primary limit. */
const RESERVED: Readonly<Record<Urgency, number>> = { registration: 0, removal: 0.1, background: 0.3 };
/**
 * So much of a minute's points may go at once after a pause; the rest comes back steadily, so that no minute has more.
 */
const BURST = 1 / 3;

export interface Plan {
  /** Points that may be used at once, after a pause. */
  burst: number;
  /** Points that come back, a second. */
  perSecond: number;
}

/** @param pointsPerMinute 0 for no limit but what the forge says in its answers */
export function toPlan(pointsPerMinute: number): Plan | undefined {
  if (pointsPerMinute === 0) return undefined;
  return { burst: pointsPerMinute * BURST, perSecond: (pointsPerMinute * (1 - BURST)) / 60 };
}

export function fullBudget(plan: Plan | undefined, now: number): BudgetState {
  return { points: plan?.burst ?? 0, at: now, blockedUntil: 0 };
}

/** How long this call has to wait, milliseconds; 0 when it may go. */
export function computeWait(
  state: BudgetState,
  plan: Plan | undefined,
  call: { cost: number; urgency: Urgency },
  now: number,
): number {
  if (state.blockedUntil > now) return state.blockedUntil - now;
  const { primary } = state;
  const kept = RESERVED[call.urgency];
  if (primary !== undefined && primary.resetAt > now && primary.remaining <= primary.limit * kept) {
    return primary.resetAt - now;
  }
  if (plan === undefined) return 0;
  // A call must be possible at some time, however small the budget.
  const needed = Math.min(call.cost + plan.burst * kept, plan.burst);
  const missing = needed - computePoints(state, plan, now);
  return missing <= 0 ? 0 : Math.ceil((missing / plan.perSecond) * 1000);
}

/** After a call went. */
export function spend(state: BudgetState, plan: Plan | undefined, cost: number, now: number): BudgetState {
  const primary = state.primary && { ...state.primary, remaining: state.primary.remaining - 1 };
  const points = plan === undefined ? 0 : computePoints(state, plan, now) - cost;
  return { ...state, points, at: now, primary };
}

/** What the forge said in an answer, as far as it tells of limits. */
export interface ObservedLimits {
  status: number;
  limit: number | undefined;
  remaining: number | undefined;
  /** Milliseconds since the epoch. */
  resetAt: number | undefined;
  retryAfterSeconds: number | undefined;
}

/** A secondary limit without a word on how long. */
const SECONDARY_LIMIT_MS = 60_000;

/** After an answer: the forge's own numbers come before ours. */
export function observeLimits(state: BudgetState, heard: ObservedLimits, now: number): BudgetState {
  const { limit, remaining, resetAt } = heard;
  const known = limit !== undefined && remaining !== undefined && resetAt !== undefined;
  // Answers come in any order: of one window the smallest number is the newest.
  const older = state.primary !== undefined && known && state.primary.resetAt === resetAt;
  const primary = known
    ? { limit, resetAt, remaining: older ? Math.min(remaining, state.primary?.remaining ?? remaining) : remaining }
    : state.primary;
  return { ...state, primary, blockedUntil: Math.max(state.blockedUntil, toBlockedUntil(heard, now)) };
}

function toBlockedUntil({ status, remaining, resetAt, retryAfterSeconds }: ObservedLimits, now: number): number {
  if (status !== 403 && status !== 429) return 0;
  if (retryAfterSeconds !== undefined) return now + retryAfterSeconds * 1000;
  if (remaining === 0 && resetAt !== undefined) return resetAt;
  // A plain 403 is a missing permission.
  return status === 429 ? now + SECONDARY_LIMIT_MS : 0;
}

function computePoints(state: BudgetState, plan: Plan, now: number): number {
  return Math.min(plan.burst, state.points + (Math.max(0, now - state.at) / 1000) * plan.perSecond);
}

/** What a call costs and how urgent it is, by its method and path. */
export function classifyCall(method: string, path: string): { cost: number; urgency: Urgency } {
  const cost = method === 'GET' || method === 'HEAD' ? 1 : 5;
  if (/\/generate-jitconfig$|\/access_tokens$|\/runner-groups$/.test(path)) return { cost, urgency: 'registration' };
  // Of a delegation: its runner is there already, and its proxies are to step aside, or to come back.
  if (/\/actions\/jobs\/\d+\/rerun$|\/runners\/\d+\/labels$/.test(path)) return { cost, urgency: 'registration' };
  if (/\/actions\/runners(\/\d+)?$/.test(path)) return { cost, urgency: 'removal' };
  return { cost, urgency: 'background' };
}
