import type { SharedDocument } from '../../../lib/shared-document.ts';
import {
  addPoints,
  computeCallWait,
  computePointsWait,
  computePrimaryWait,
  findWaiting,
  listQueues,
  MINUTE,
  spend,
  type PointsPlan,
} from './admission.ts';
import {
  applyOutcome,
  describeBlock,
  findBlock,
  OUTAGE_FAILURES,
  releaseProbe,
  toBlockKeys,
  toClock,
} from './blocks.ts';
import type { Block, CallOutcome } from './blocks.ts';
import { PRIORITIES, REGISTRATION_COST, type ForgeCall, type Priority } from './call.ts';
import type { PrimaryLimit } from './limits.ts';
import type { ScopeLimit } from './scope-limit.ts';
import { applyPrimaryLimit, correctStamps, toResource, type BudgetState, type QueueLength } from './state.ts';
import { countUsed, type WindowLength } from '../../../lib/sliding-window.ts';

/** A state read from the shared store is good for so long where there is nothing to count. */
const MAX_STATE_AGE_MS = 1000;
/** Other processes kept changing the state. */
const CONTENTION_WAIT_MS = 50;
/** A call that tries whether a block is over has its answer by then, or is lost with its process. */
const PROBE_MARGIN_MS = 5000;

export interface BudgetOptions {
  /** 0: no limit of Baton's own; only those that the forge reports. */
  pointsPerMinute: number;
  document: SharedDocument<BudgetState>;
  scopes: ScopeLimit;
  /** Names this process among those that share the state. */
  process: string;
  /** Default: GitHub's minute. */
  window?: WindowLength;
  /** The clock of all processes that share the state, milliseconds since the epoch. Default: this machine's. */
  now?: () => number;
}

/** A call that wants to be sent. */
export interface CallRequest extends ForgeCall {
  /** It has its answer by then, or none. */
  timeoutMs: number;
}

/** The queue of this process, by priority. */
export type Queues = Readonly<Record<Priority, QueueLength>>;

/** The budget of one App (or token): decides which calls may be sent now, together with all other processes. */
export class Budget {
  readonly cap: number;
  /** The clock of all processes that share the state, milliseconds since the epoch. */
  readonly now: () => number;
  readonly #options: BudgetOptions;
  readonly #plan: PointsPlan;
  /** What this process observed and the shared state doesn't have yet. */
  #pending: Change[] = [];
  /** Of that, what is just being written. */
  #writing: Change[] = [];
  /** The shared state with all that applied. */
  #known: { base: BudgetState; state: BudgetState } | undefined;
  readonly #failures: Record<Priority, number> = { registration: 0, removal: 0, background: 0 };

  constructor(options: BudgetOptions) {
    this.#options = options;
    this.cap = options.pointsPerMinute;
    this.now = options.now ?? Date.now;
    this.#plan = { cap: options.pointsPerMinute, window: options.window ?? MINUTE };
  }

  /** The state as this process knows it. */
  get state(): BudgetState {
    const base = this.#options.document.current;
    if (this.#known?.base !== base) {
      this.#known = { base, state: this.#apply([...this.#writing, ...this.#pending], base) };
    }
    return this.#known.state;
  }

  /** The points used in the current window, by priority. */
  getUsed(): Record<Priority, number> {
    const { uses } = this.state;
    const count = (priority: Priority): number => countUsed(uses[priority], this.#plan.window, this.now());
    return { registration: count('registration'), removal: count('removal'), background: count('background') };
  }

  /**
   * Takes what the calls need, as far as they may be sent now.
   *
   * @param calls most urgent first
   * @param queues all that wait in this process, these calls among them
   * @param bounds how many calls are under way, and how many more may be
   * @returns which of them may be sent, and when to ask again for the first of the others, milliseconds
   */
  async take(
    calls: readonly CallRequest[],
    queues: Queues,
    bounds: { inFlight: number; slots: number },
  ): Promise<{ admitted: boolean[]; waitMs: number }> {
    let admitted: boolean[] = [];
    let waits: number[] = [];
    const admit = (known: BudgetState): BudgetState => {
      const now = this.now();
      let state = this.#setQueues(known, queues, now);
      const waiting = findWaiting(state, now);
      let sent = 0;
      waits = calls.map((call) => {
        const inFlight = bounds.inFlight + sent;
        const blockedMs = computeCallWait(state, this.#plan, call, { waiting, inFlight, now });
        const wait = Math.max(this.#getScopeWait(call), blockedMs);
        // Without a slot it is asked for again when a call has ended.
        if (wait > 0 || sent >= bounds.slots) return wait || MAX_STATE_AGE_MS;
        state = spend(state, this.#plan, call, { timeoutMs: call.timeoutMs + PROBE_MARGIN_MS, now });
        sent += 1;
        return 0;
      });
      admitted = waits.map((wait) => wait === 0);
      // So that other processes don't take their calls into account any more.
      const left = calls.reduce((sum, call, index) => (admitted[index] ? subtract(sum, call) : sum), queues);
      return this.#setQueues(state, left, now);
    };
    if (this.#isUncounted()) {
      admit(this.state);
    } else if ((await this.#change(admit)) === undefined) {
      return { admitted: calls.map(() => false), waitMs: CONTENTION_WAIT_MS };
    }
    if (this.cap > 0) await this.#takeScopes(calls, admitted, waits);
    return { admitted, waitMs: Math.min(...waits.filter((wait) => wait > 0)) };
  }

  /** Gives back what was taken for a call that wasn't sent after all. */
  giveBack(call: ForgeCall, takenAt: number): void {
    this.#add((state) => ({
      ...addPoints(state, this.#plan, call, -call.cost, takenAt),
      blocks: releaseProbe(state.blocks, toBlockKeys(call, toResource(state, call)), takenAt),
    }));
  }

  /** Counts a read more for a call that was redirected: it was two. */
  countRedirect(call: ForgeCall): void {
    const now = this.now();
    this.#add((state) => addPoints(state, this.#plan, call, 1, now));
  }

  /**
   * Heeds what came of a call.
   *
   * @returns the block that it made, or made longer
   */
  observe(call: ForgeCall, outcome: CallOutcome, sentAt: number, primary: PrimaryLimit | undefined): Block | undefined {
    const now = this.now();
    const before = this.state;
    if (outcome.kind === 'failed') this.#failures[call.priority] += 1;
    else if (outcome.kind !== 'withdrawn') this.#failures[call.priority] = 0;
    const failures = this.#failures[call.priority];
    const change = (known: BudgetState): BudgetState => {
      const state = primary === undefined ? known : applyPrimaryLimit(known, call, primary);
      const keys = toBlockKeys(call, toResource(state, call));
      const isOutage = failures >= OUTAGE_FAILURES;
      return { ...state, blocks: applyOutcome(state.blocks, keys, outcome, { sentAt, now, isOutage }) };
    };
    this.#add(change);
    const after = this.state;
    if (JSON.stringify(after.blocks) === JSON.stringify(before.blocks)) return undefined;
    // So that no other process has to run into the limit first.
    void this.#change((state) => state);
    return Object.entries(after.blocks).find(([key, { until }]) => before.blocks[key]?.until !== until)?.[1];
  }

  /** The queues of all processes; this one's is given. */
  listQueues(own: Queues): readonly Queues[] {
    const now = this.now();
    return listQueues(this.#setQueues(this.state, own, now), now);
  }

  /** What holds such a call back, other than points, and for how long; undefined: nothing. */
  getBlock(call: ForgeCall): { waitMs: number; reason: string; isOutage: boolean } | undefined {
    const { state } = this;
    const now = this.now();
    const found = findBlock(state.blocks, toBlockKeys(call, toResource(state, call)), now);
    const primaryMs = computePrimaryWait(state, call, 0, now);
    if (found !== undefined && found.waitMs >= primaryMs) {
      const { block, waitMs } = found;
      return { waitMs, reason: describeBlock(block), isOutage: block.kind === 'outage' };
    }
    if (primaryMs === 0) return undefined;
    return {
      waitMs: primaryMs,
      reason: `GitHub’s primary rate limit until ${toClock(now + primaryMs)}`,
      isOutage: false,
    };
  }

  /** Whether something other than points holds such a call back, as far as this process knows. */
  isHeldBack(call: ForgeCall): boolean {
    return this.getBlock(call) !== undefined || this.#getScopeWait(call) > 0;
  }

  /** What is left of the call's primary limit; undefined: not known. */
  getRemaining(call: ForgeCall): number | undefined {
    const known = this.state.primary[toResource(this.state, call)];
    return known === undefined || known.resetAt <= this.now() ? undefined : known.remaining;
  }

  /** How long such a call has to wait behind the calls of its priority that all processes have waiting. */
  getWait(call: ForgeCall, queues: Queues): number {
    const now = this.now();
    const state = this.#setQueues(this.state, queues, now);
    const ahead = listQueues(state, now).reduce((sum, queue) => sum + queue[call.priority].points, 0);
    const cost = ahead + call.cost;
    return Math.max(
      this.getBlock(call)?.waitMs ?? 0,
      computePointsWait(state, this.#plan, { ...call, cost }, findWaiting(state, now), now),
      this.#getScopeWait(call, Math.ceil(cost / REGISTRATION_COST)),
    );
  }

  /** Reads the shared state again unless it was read within a second. */
  refresh(): void {
    if (Date.now() - this.#options.document.readAt > MAX_STATE_AGE_MS) void this.#options.document.refresh();
  }

  #getScopeWait({ registers }: ForgeCall, count = 1): number {
    return registers === undefined || this.cap === 0 ? 0 : this.#options.scopes.getWait(registers, count);
  }

  /** Counts the admitted registrations in their scopes; takes back the admission of those that a scope doesn't allow. */
  async #takeScopes(calls: readonly CallRequest[], admitted: boolean[], waits: number[]): Promise<void> {
    const { scopes } = this.#options;
    const byScope = new Map<string, number[]>();
    calls.forEach(({ registers }, index) => {
      if (admitted[index] && registers !== undefined)
        byScope.set(registers, [...(byScope.get(registers) ?? []), index]);
    });
    for (const [scope, indexes] of byScope) {
      const allowed = await scopes.take(scope, indexes.length);
      for (const index of indexes.slice(allowed)) {
        const call = calls[index];
        if (call === undefined) continue;
        admitted[index] = false;
        waits[index] = Math.max(CONTENTION_WAIT_MS, this.#getScopeWait(call));
        this.giveBack(call, this.now());
      }
    }
  }

  /** Without a cap nothing is counted, and a recent state is enough, unless something blocks. */
  #isUncounted(): boolean {
    const { document } = this.#options;
    const isFresh = Date.now() - document.readAt <= MAX_STATE_AGE_MS;
    return this.cap === 0 && isFresh && Object.keys(this.state.blocks).length === 0;
  }

  #setQueues(state: BudgetState, queues: Queues, now: number): BudgetState {
    const { process } = this.#options;
    const isEmpty = PRIORITIES.every((priority) => queues[priority].waiting === 0);
    const others = Object.entries(state.queues).filter(([name, { at }]) => name !== process && now - at < 60_000);
    return { ...state, queues: Object.fromEntries(isEmpty ? others : [...others, [process, { at: now, ...queues }]]) };
  }

  #apply(changes: readonly Change[], stored: BudgetState): BudgetState {
    const corrected = correctStamps(stored, this.#plan.window, this.now());
    return changes.reduce((sum, change) => change(sum), corrected);
  }

  #add(change: Change): void {
    const state = change(this.state);
    this.#pending.push(change);
    this.#known = { base: this.#options.document.current, state };
  }

  async #change(change: Change): Promise<BudgetState | undefined> {
    const observed = this.#pending;
    this.#pending = [];
    this.#writing = [...this.#writing, ...observed];
    const changed = await this.#options.document.change((stored) => change(this.#apply(observed, stored)));
    this.#known = undefined;
    this.#writing = this.#writing.filter((one) => !observed.includes(one));
    if (changed === undefined) this.#pending = [...observed, ...this.#pending];
    return changed;
  }
}

type Change = (state: BudgetState) => BudgetState;

/** The queues without one call. */
function subtract(queues: Queues, { priority, cost }: ForgeCall): Queues {
  const { waiting, points, since } = queues[priority];
  return { ...queues, [priority]: { waiting: waiting - 1, points: points - cost, since } };
}
