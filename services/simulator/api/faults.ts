import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Random } from '../random.ts';

const KINDS = ['status', 'lost', 'slow', 'suspended', 'forbidden', 'sso', 'limited'] as const;

/** A fault for the REST calls that match: for the next `count` of them, or for all of the next `forMs`. */
export const apiFault = z.strictObject({
  method: z.string().optional(),
  /** Part of the path after /api/v3. */
  path: z.string().default('/'),
  /** Only calls of the App with this id. */
  app: z.number().int().optional(),
  /**
   * `status`: nothing is done, and that status answered. `lost`: done, but the connection breaks before the answer. `slow`: done
   * late. `suspended`, `forbidden`, `sso`: 403 for an App's suspended installation, a missing permission, a token that SAML
   * doesn't accept. `limited`: a secondary limit, which lasts as long as any other.
   */
  fault: z.enum(KINDS),
  status: z.number().int().min(400).max(599).default(502),
  delayMs: z.number().nonnegative().default(1_000),
  count: z.number().int().positive().optional(),
  forMs: z.number().positive().optional(),
});

/** All REST calls fail for `forMs`: for the first `statusMs` (default: half of that) with 502, then they are never answered. */
export const apiOutage = z.strictObject({
  fault: z.literal('outage'),
  forMs: z.number().positive(),
  statusMs: z.number().nonnegative().optional(),
});

export type ApiFault = z.infer<typeof apiFault>;

/** The share of REST calls with a fault, 0 to 1: half of them fail before anything is done, half of them after. */
export const apiFaultRate = z.strictObject({ rate: z.number().min(0).max(1) });

interface PendingFault extends ApiFault {
  /** Unix time, ms. */
  until: number;
}

/** Decides which REST calls fail. */
export class ApiFaults {
  #pending: PendingFault[] = [];
  #outage = { since: 0, statusUntil: 0, until: 0, ended: new AbortController() };
  rate = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Faults that can still occur. */
  get pending(): readonly ApiFault[] {
    this.#pending = this.#pending.filter(({ until }) => Date.now() < until);
    return this.#pending;
  }

  add(order: ApiFault | z.infer<typeof apiOutage>): void {
    const now = Date.now();
    if (order.fault === 'outage') {
      const { forMs, statusMs = forMs / 2 } = order;
      this.#outage.ended.abort();
      this.#outage = { since: now, statusUntil: now + statusMs, until: now + forMs, ended: new AbortController() };
      return;
    }
    const endless = order.forMs !== undefined && order.count === undefined;
    this.#pending.push({
      ...order,
      count: endless ? Infinity : (order.count ?? 1),
      until: now + (order.forMs ?? Infinity),
    });
  }

  /** Ends all faults, also those by chance and an outage. */
  clear(): void {
    this.#pending = [];
    this.rate = 0;
    this.#outage.until = 0;
    this.#outage.ended.abort();
  }

  /** What an outage does with calls now. */
  findOutage(): 'status' | 'hang' | null {
    const now = Date.now();
    if (now >= this.#outage.until) return null;
    return now < this.#outage.statusUntil ? 'status' : 'hang';
  }

  /** Resolves when the outage is over. */
  async untilOutageEnds(): Promise<void> {
    const { until, ended } = this.#outage;
    await sleep(Math.max(0, until - Date.now()), undefined, { signal: ended.signal, ref: false }).catch(
      () => undefined,
    );
  }

  #byChance(): ApiFault | undefined {
    if (!this.#random.chance(this.rate)) return undefined;
    return apiFault.parse({ fault: this.#random.chance(0.5) ? 'status' : 'lost' });
  }

  /** The fault of this call, if any; counts it. */
  take(call: { method: string; path: string; app: number | null }): ApiFault | undefined {
    const fault = this.#pending.find(
      (candidate) =>
        Date.now() < candidate.until &&
        (candidate.method ?? call.method) === call.method &&
        (candidate.app ?? call.app) === call.app &&
        call.path.includes(candidate.path),
    );
    if (fault?.count !== undefined && --fault.count === 0) this.#pending.splice(this.#pending.indexOf(fault), 1);
    return fault ?? this.#byChance();
  }
}
