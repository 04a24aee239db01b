import { BatonError } from '../../../../contracts/errors.ts';
import type { Forge, RegistrationOrder } from '../../../../contracts/ports/forge.ts';
import { KEEP_MS, type RegistrationRecord } from './claim.ts';
import type { RegistrationGate } from './gate.ts';
import { OpenRequest } from './open-request.ts';
import type { Claim, RegistrationRecords } from './records.ts';
import { createDelay, toRefusal } from './replies.ts';

/** A request that would wait longer than this for the forge's limits is told so at once. */
const MAX_HOLD_MS = 15_000;
/** A runner that was told to wait asks again this much before its turn, so that its call is queued when there is room. */
const EARLY_MS = 10_000;
/** No request is held longer, however long its agent would wait. */
const MAX_WAIT_MS = 60_000;
/** A reply leaves this long before its agent gives up. */
const REPLY_MARGIN_MS = 2000;
/** While this orchestrator stops, a call that the forge is already working on may still be answered. */
const STOP_GRACE_MS = 3000;
/** A runner that its workflow refused never gets permitted again: job code that keeps asking costs no more than this. */
const REMEMBER_REFUSAL_MS = 60_000;
/** A runner whose registration took longer may have been removed meanwhile: its workflow looks once more after 15 s, and no later. */
const LATE_MS = 10_000;
/** The agent of a request whose call is under way may ask again soon. */
const UNDER_WAY_RETRY_MS = 1000;
const STOPPING = 'this orchestrator is stopping';

export interface RegistrarOptions {
  forge: Pick<Forge, 'register' | 'deregister' | 'getRegistrationOutlook'>;
  gate: RegistrationGate;
  records: RegistrationRecords;
  /** Fires when this orchestrator stops. */
  stop: AbortSignal;
}

/** An agent's request. */
export interface RegistrationAsk {
  order: RegistrationOrder;
  /** -1 for an agent that doesn't count its requests. */
  attempt: number;
  /** How long its agent waits from now. */
  waitMs: number;
}

interface KeptAnswer {
  jitConfig: string;
  answeredAt: number;
}

interface Joined {
  request: OpenRequest;
  result: Promise<string>;
}

/**
 * Asks the forge once for each runner, however often its agent asks: requests of the same runner join, a record that all
 * orchestrators share excludes the others, and an answer that came too late for its agent waits for the agent's next request. An agent
 * whose turn is later is told so at once, which costs nothing; a call that fails costs its runner nothing.
 */
export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #open = new Map<string, Joined>();
  readonly #kept = new Map<string, KeptAnswer>();
  readonly #refusals = new Map<string, BatonError>();
  /** What to call for each request that still waits when this orchestrator stops. */
  readonly #waiting = new Set<() => void>();

  constructor(options: RegistrarOptions) {
    this.#options = options;
    options.stop.addEventListener('abort', () => {
      for (const { request } of this.#open.values()) request.abandon();
      const giveUp = (): void => this.#waiting.forEach((onStop) => onStop());
      setTimeout(giveUp, STOP_GRACE_MS).unref();
    });
  }

  /**
   * @returns the JIT config: a secret
   * @throws BatonError REGISTRATION_DELAYED (ask again after `details.retryAfterMs`), REGISTRATION_REFUSED, RUNNER_UNKNOWN,
   *   BUS_UNAVAILABLE, FORGE_*
   */
  async register({ order, attempt, waitMs }: RegistrationAsk): Promise<string> {
    const { runner, scope } = order;
    if (this.#options.stop.aborted) throw createDelay(runner, UNDER_WAY_RETRY_MS, STOPPING);
    const refusal = this.#refusals.get(runner);
    if (refusal !== undefined) throw refusal;
    const wait = Math.min(waitMs, MAX_WAIT_MS);
    const hold = wait - Math.min(REPLY_MARGIN_MS, wait / 10);
    let joined = this.#open.get(runner);
    if (joined === undefined) {
      const outlook = this.#options.forge.getRegistrationOutlook(scope);
      const full = outlook.waitMs > Math.min(MAX_HOLD_MS, hold / 2);
      if (full && !this.#kept.has(runner)) {
        const retryAfterMs = Math.max(UNDER_WAY_RETRY_MS, outlook.waitMs - EARLY_MS);
        throw createDelay(runner, retryAfterMs, outlook.blocked ?? 'others are first within the forge’s limits');
      }
      const request = new OpenRequest();
      request.join(attempt, hold);
      joined = { request, result: this.#run(order, request) };
      this.#open.set(runner, joined);
    } else {
      joined.request.join(attempt, hold);
    }
    return await this.#awaitReply(runner, joined.result, hold);
  }

  async #awaitReply(runner: string, result: Promise<string>, holdMs: number): Promise<string> {
    // A promise of this request alone: one that lives on would keep every JIT config that was raced against it.
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const giveUp = (reason: string): void => reject(createDelay(runner, UNDER_WAY_RETRY_MS, reason));
    const timer = setTimeout(() => giveUp('the forge has not answered yet'), holdMs);
    const onStop = (): void => giveUp(STOPPING);
    this.#waiting.add(onStop);
    try {
      return await Promise.race([result, tooLate]);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(onStop);
    }
  }

  async #run(order: RegistrationOrder, request: OpenRequest): Promise<string> {
    const { runner, scope } = order;
    try {
      return await this.#ask(order, request);
    } catch (error) {
      if (error instanceof BatonError && !toRefusal(error).retryable) this.#rememberRefusal(runner, error);
      if (!request.signal.aborted) throw error;
      const { waitMs, blocked } = this.#options.forge.getRegistrationOutlook(scope);
      throw createDelay(runner, Math.max(UNDER_WAY_RETRY_MS, waitMs), blocked ?? 'its request was given up');
    } finally {
      request.close();
      this.#open.delete(runner);
    }
  }

  async #ask(order: RegistrationOrder, request: OpenRequest): Promise<string> {
    const { gate } = this.#options;
    const { runner } = order;
    const kept = this.#kept.get(runner);
    const claim = await this.#claim(runner, request.attempt, kept?.answeredAt ?? 0);
    const change: Partial<RegistrationRecord> = {};
    let jitConfig: string | undefined;
    try {
      await gate.check(order.group, runner, claim.record.granted);
      change.granted = true;
      const known = kept?.answeredAt === claim.record.answeredAt ? kept.jitConfig : undefined;
      jitConfig = known ?? (await this.#registerOnForge(order, request.signal));
      change.answers = claim.record.answers + 1;
      change.answeredAt = this.#options.records.now();
    } finally {
      // Before the reply: whoever claims the runner next knows that an answer may have reached its agent.
      const mine = await claim.end({ ...change, attempt: Math.max(request.attempt, claim.record.attempt) });
      if (mine && jitConfig !== undefined) this.#keep(runner, { jitConfig, answeredAt: change.answeredAt ?? 0 });
      if (!mine) jitConfig = undefined;
    }
    if (jitConfig === undefined) {
      throw createDelay(runner, UNDER_WAY_RETRY_MS, 'another orchestrator has taken its registration over');
    }
    return jitConfig;
  }

  /** Registers the runner; takes that back where its workflow has ended in the meantime. */
  async #registerOnForge(order: RegistrationOrder, signal: AbortSignal): Promise<string> {
    const { forge, gate } = this.#options;
    const askedAt = performance.now();
    const { jitConfig } = await forge.register(order, { signal });
    if (performance.now() - askedAt < LATE_MS) return jitConfig;
    try {
      await gate.check(order.group, order.runner, true);
    } catch (error) {
      // Nobody has this registration's JIT config, so that no job can be running on it.
      if (!toRefusal(error).retryable) await forge.deregister(order.scope, order.runner);
      throw error;
    }
    return jitConfig;
  }

  async #claim(runner: string, attempt: number, keeps: number): Promise<Claim> {
    const claim = await this.#options.records.claim(runner, { attempt, keeps });
    if (!('claim' in claim)) return claim;
    if (claim.claim === 'later') throw createDelay(runner, claim.retryAfterMs, claim.reason);
    throw new BatonError('REGISTRATION_REFUSED', `registering ${runner}: ${claim.reason}`);
  }

  /** Keeps an answer for a minute: its agent may not have received it. */
  #keep(runner: string, answer: KeptAnswer): void {
    this.#kept.set(runner, answer);
    setTimeout(() => {
      if (this.#kept.get(runner) === answer) this.#kept.delete(runner);
    }, KEEP_MS).unref();
  }

  #rememberRefusal(runner: string, error: BatonError): void {
    this.#kept.delete(runner);
    this.#refusals.set(runner, error);
    setTimeout(() => this.#refusals.delete(runner), REMEMBER_REFUSAL_MS).unref();
  }
}
