import { BatonError, getErrorMessage } from '../../../../contracts/errors.ts';
import type { Logger } from '../../../../contracts/lib/log.ts';
import type { ForgeScope, RegistrationOutlook } from '../../../../contracts/ports/forge.ts';
import { toScopeName } from '../paths.ts';
import type { Budget, CallRequest, Queues } from './budget.ts';
import { PRIORITIES, REGISTRATION_COST, type ForgeCall, type Priority } from './call.ts';
import { CallQueue, type Ticket } from './call-queue.ts';
import type { CallOutcome } from './blocks.ts';
import type { PrimaryLimit } from './limits.ts';
import { mergeOutlooks } from './outlook.ts';
import type { ScopeLimit } from './scope-limit.ts';

/** Calls at once of one App in one process. GitHub allows 100 for an App: enough for three orchestrators. */
export const MAX_IN_FLIGHT = 30;
/** Of those, a priority's calls take at most so many: slow ones must leave slots to the others. */
const MAX_BY_PRIORITY: Readonly<Record<Priority, number>> = { registration: 26, removal: 20, background: 8 };
/** A queue that waits looks again after this: another process may have left room, or a limit may have come or gone. */
const RECHECK_MS = 1000;

/** What becomes of calls, for metrics. */
export type CallResult = 'ok' | 'refused' | 'limited' | 'failed' | 'abandoned' | 'withdrawn' | 'expired';

export interface SchedulerOptions {
  /** Names the App or token: `app-5-1`. */
  name: string;
  budget: Budget;
  scopes: ScopeLimit;
  log: Logger;
  /** Called when a call's wait ends, with seconds. */
  onWait?: (priority: Priority, seconds: number) => void;
  onResult?: (call: ForgeCall, result: CallResult) => void;
}

/** A call that was sent. */
export interface Attempt {
  call: CallRequest;
  sentAt: number;
}

/**
 * In front of all calls of one App (or token): the most urgent call is sent next, as soon as the App's budget and the bound on
 * calls at once allow it.
 */
export class CallScheduler {
  readonly name: string;
  readonly #options: SchedulerOptions;
  readonly #queue = new CallQueue();
  readonly #inFlight: Record<Priority, number> = { registration: 0, removal: 0, background: 0 };
  #sequence = 0;
  #isPumping = false;
  #pumpAgain = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.name = options.name;
  }

  /** The clock of the budget, milliseconds since the epoch. */
  now(): number {
    return this.#options.budget.now();
  }

  /** A ticket for a call: its place in the queue, which it keeps when it is sent again. */
  createTicket(call: CallRequest, patienceMs: number): Ticket {
    const now = this.now();
    this.#sequence += 1;
    const nothing = (): void => undefined;
    return {
      call,
      sequence: this.#sequence,
      queuedAt: now,
      deadline: now + patienceMs,
      notBefore: 0,
      admit: nothing,
      reject: nothing,
    };
  }

  /**
   * Waits until the call may be sent. Whoever it resolves for must report the outcome with {@link finish}.
   *
   * @param signal fires when nobody waits for the answer any more
   * @throws BatonError FORGE_RATE_LIMITED, FORGE_UNAVAILABLE with `retryAfterMs` in its details: the call was not sent, since it
   * would have had to wait for longer than its patience or than its asker
   */
  async admit(ticket: Ticket, signal: AbortSignal | null | undefined): Promise<void> {
    const since = this.now();
    const withdraw = (): void => this.#drop(ticket, 'withdrawn');
    try {
      await new Promise<number>((admit, reject) => {
        Object.assign(ticket, { admit, reject });
        this.#queue.add(ticket);
        if (signal?.aborted) withdraw();
        else {
          signal?.addEventListener('abort', withdraw);
          this.#wake(ticket);
        }
      });
    } finally {
      signal?.removeEventListener('abort', withdraw);
      this.#options.onWait?.(ticket.call.priority, (this.now() - since) / 1000);
    }
  }

  /** Frees the call's slot, and heeds what its answer says. */
  finish({ call, sentAt }: Attempt, result: CallResult, outcome: CallOutcome, primary?: PrimaryLimit): void {
    const { budget, log, onResult } = this.#options;
    this.#inFlight[call.priority] -= 1;
    onResult?.(call, result);
    const block = budget.observe(call, outcome, sentAt, primary);
    if (block !== undefined) {
      const { kind, until, inARow } = block;
      const text = kind === 'outage' ? 'GitHub does not answer' : 'GitHub asked to wait';
      log.warn({ app: this.name, kind, until: new Date(until).toISOString(), inARow }, text);
    }
    this.#pump();
  }

  /** A redirected call was two. */
  countRedirect(call: ForgeCall): void {
    this.#options.budget.countRedirect(call);
  }

  /** How long a call would have to wait for a block or a primary limit, and whether that exceeds its patience. */
  canWait(ticket: Ticket): boolean {
    const waitMs = this.#options.budget.getBlock(ticket.call)?.waitMs ?? 0;
    return Math.max(this.now() + waitMs, ticket.notBefore) <= ticket.deadline;
  }

  /** How long such a call would have to wait now, milliseconds. */
  getWait(call: ForgeCall): number {
    this.#options.budget.refresh();
    return this.#options.budget.getWait(call, this.#queue.getLengths());
  }

  /** The part of the budget that is left, 0 to 1, less what already waits for it. */
  getRoom(): number {
    const { budget } = this.#options;
    const primary = Object.values(budget.state.primary).filter(({ resetAt }) => resetAt > this.now());
    const shares = primary.map(({ limit, remaining }) => remaining / Math.max(1, limit));
    const used = PRIORITIES.reduce((sum, priority) => sum + budget.getUsed()[priority], 0);
    const queued = PRIORITIES.reduce((sum, priority) => sum + this.#queue.getLengths()[priority].points, 0);
    const points =
      budget.cap === 0 ? 1 - (this.#countInFlight() + queued) / 1000 : (budget.cap - used - queued) / budget.cap;
    return Math.min(points, ...shares);
  }

  getRegistrationOutlook(scope: ForgeScope): RegistrationOutlook {
    const { budget, scopes } = this.#options;
    const registers = toScopeName(scope);
    const call: ForgeCall = { priority: 'registration', cost: REGISTRATION_COST, actor: 'installation', registers };
    if (budget.cap > 0) scopes.refresh(registers);
    const waitMs = this.getWait(call);
    const block = budget.getBlock(call);
    const rate = budget.cap === 0 ? null : Math.max(1, Math.floor(budget.cap / REGISTRATION_COST));
    const remaining = budget.getRemaining(call) ?? rate;
    const most = rate === null || remaining === null ? remaining : Math.max(1, Math.min(rate, remaining));
    // A block that is over as far as is known: one registration tries, nobody else would.
    const isTried = block?.waitMs === 0;
    const outlook = {
      perMinute: isTried ? 1 : most,
      perFiveMinutes: budget.cap === 0 ? null : scopes.cap,
      waitMs,
      blocked: isTried ? null : (block?.reason ?? null),
    };
    return mergeOutlooks([outlook], scopes, registers);
  }

  /** The queues of all processes: this one's as it is now. */
  listQueues(): readonly Queues[] {
    return this.#options.budget.listQueues(this.#queue.getLengths());
  }

  /** For metrics and the status. */
  view(): { queues: Queues; inFlight: Readonly<Record<Priority, number>>; budget: Budget } {
    return { queues: this.#queue.getLengths(), inFlight: this.#inFlight, budget: this.#options.budget };
  }

  /** A call that will have to wait doesn't ask the budget at once: the next look at the queue does. */
  #wake(ticket: Ticket): void {
    if (this.#timer === undefined || this.#options.budget.getWait(ticket.call, EMPTY_QUEUES) === 0) this.#pump();
  }

  #pump(): void {
    this.#pumpAgain = true;
    if (this.#isPumping) return;
    this.#isPumping = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    void this.#sendWhatFits()
      .catch((error: unknown) => {
        const reason = getErrorMessage(error);
        this.#options.log.error({ app: this.name, reason }, 'scheduling calls to GitHub failed');
        return RECHECK_MS;
      })
      .then((waitMs) => this.#rest(waitMs));
  }

  /** Until something changes, or it is time to look at the queue again. */
  #rest(waitMs: number): void {
    this.#isPumping = false;
    if (this.#pumpAgain) this.#pump();
    else if (!this.#queue.isEmpty) this.#timer = setTimeout(() => this.#pump(), Math.min(waitMs, RECHECK_MS));
  }

  /** @returns when to look at the queue again, milliseconds */
  async #sendWhatFits(): Promise<number> {
    for (;;) {
      this.#pumpAgain = false;
      this.#dropHopeless();
      const tickets = this.#pick();
      if (tickets.length === 0) return RECHECK_MS;
      const takenAt = this.now();
      const calls = tickets.map(({ call }) => call);
      const inFlight = this.#countInFlight();
      const bounds = { inFlight, slots: MAX_IN_FLIGHT - inFlight };
      const { admitted, waitMs } = await this.#options.budget.take(calls, this.#queue.getLengths(), bounds);
      tickets.forEach((ticket, index) => {
        if (!admitted[index]) return;
        if (this.#queue.remove(ticket)) {
          this.#inFlight[ticket.call.priority] += 1;
          ticket.admit(takenAt);
        } else {
          this.#options.budget.giveBack(ticket.call, takenAt);
        }
      });
      if (!admitted.includes(true)) return waitMs;
    }
  }

  /** The calls that the budget is asked for: the first of each priority, as many as have slots. */
  #pick(): Ticket[] {
    if (this.#countInFlight() >= MAX_IN_FLIGHT) return [];
    const slots = PRIORITIES.map(
      (priority) => [priority, MAX_BY_PRIORITY[priority] - this.#inFlight[priority]] as const,
    );
    const isHeldBack = this.#memoize((call) => this.#options.budget.isHeldBack(call));
    return this.#queue.pick(new Map(slots), isHeldBack, this.now());
  }

  /** Asks once for all calls that are alike: a queue may be long. */
  #memoize<T>(ask: (call: CallRequest) => T): (call: CallRequest) => T {
    const answers = new Map<string, T>();
    return (call) => {
      const kind = `${call.priority} ${call.actor} ${call.registers ?? ''}`;
      const known = answers.get(kind) ?? ask(call);
      answers.set(kind, known);
      return known;
    };
  }

  #countInFlight(): number {
    return PRIORITIES.reduce((sum, priority) => sum + this.#inFlight[priority], 0);
  }

  /** Ends the wait of calls whose patience is over, or will be before a block ends. */
  #dropHopeless(): void {
    const now = this.now();
    const getBlockWait = this.#memoize((call) => this.#options.budget.getBlock(call)?.waitMs ?? 0);
    for (const ticket of this.#queue.list()) {
      const waitMs = getBlockWait(ticket.call);
      if (now + waitMs > ticket.deadline) this.#drop(ticket, 'expired');
    }
  }

  #drop(ticket: Ticket, result: 'withdrawn' | 'expired'): void {
    if (!this.#queue.remove(ticket)) return;
    const { budget, onResult } = this.#options;
    onResult?.(ticket.call, result);
    const block = budget.getBlock(ticket.call);
    const retryAfterMs = Math.max(1000, this.getWait(ticket.call));
    const reason = block?.reason ?? `its rate limit allows the call in ${Math.ceil(retryAfterMs / 1000)} s`;
    const code = block?.isOutage === true ? 'FORGE_UNAVAILABLE' : 'FORGE_RATE_LIMITED';
    ticket.reject(
      new BatonError(code, `call to GitHub not sent: ${reason}`, { details: { retryAfterMs, sent: false } }),
    );
  }
}

const NONE = { waiting: 0, points: 0, since: 0 };
const EMPTY_QUEUES: Queues = { registration: NONE, removal: NONE, background: NONE };
