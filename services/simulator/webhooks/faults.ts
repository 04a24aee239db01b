import { z } from 'zod';
import type { Random } from '../random.ts';
import type { WebhookDelivery } from '../state.ts';

const rate = z.number().min(0).max(1);

/** How often what goes wrong with `workflow_job` webhooks; each rate from 0 to 1. */
export const faultRates = z.strictObject({
  /** Never arrives. */
  loss: rate,
  /** Whether GitHub knows of a lost one: it then stands in the list of deliveries, failed, and can be redelivered. */
  lossIsRecorded: z.boolean(),
  /** Arrives twice, with the same GUID. */
  duplication: rate,
  /** Arrives late. */
  delay: rate,
  delayMinMs: z.number().nonnegative(),
  delayMaxMs: z.number().nonnegative(),
  /** Arrives after the one that follows it. */
  reorder: rate,
  /** A re-run sends the completed events of the jobs that it doesn't repeat once more, as GitHub may. */
  resendCompletedOnRerun: z.boolean(),
});

export type FaultRates = z.infer<typeof faultRates>;

export const NO_FAULTS: Readonly<FaultRates> = {
  loss: 0,
  lossIsRecorded: true,
  duplication: 0,
  delay: 0,
  delayMinMs: 100,
  delayMaxMs: 2_000,
  reorder: 0,
  resendCompletedOnRerun: true,
};

const which = {
  action: z.enum(['queued', 'waiting', 'in_progress', 'completed']).optional(),
  jobId: z.number().int().optional(),
};

/** Exactly this, to the next `count` that fit. */
export const oneShot = z.strictObject({
  fault: z.enum(['lose', 'duplicate', 'delay']),
  ...which,
  count: z.number().int().positive().default(1),
  delayMs: z.number().nonnegative().default(1_000),
});

/** Everything that fits is kept back until it is released. */
export const holdRule = z.strictObject(which);

export type OneShot = z.infer<typeof oneShot>;
export type HoldRule = z.infer<typeof holdRule>;

export type Fate = { kind: 'send' | 'lose' | 'duplicate' | 'reorder' | 'hold' } | { kind: 'delay'; ms: number };

/** Decides what happens to each webhook. Pings always arrive. */
export class WebhookFaults {
  rates: FaultRates = { ...NO_FAULTS };
  readonly once: OneShot[] = [];
  readonly holds: HoldRule[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  decide(delivery: Pick<WebhookDelivery, 'event' | 'action' | 'jobId'>): Fate {
    if (delivery.event !== 'workflow_job') return { kind: 'send' };
    const shot = this.once.find((candidate) => matches(candidate, delivery));
    if (shot) {
      if (--shot.count === 0) this.once.splice(this.once.indexOf(shot), 1);
      return shot.fault === 'delay' ? { kind: 'delay', ms: shot.delayMs } : { kind: shot.fault };
    }
    if (this.holds.some((rule) => matches(rule, delivery))) return { kind: 'hold' };
    if (this.#random.chance(this.rates.loss)) return { kind: 'lose' };
    if (this.#random.chance(this.rates.duplication)) return { kind: 'duplicate' };
    if (this.#random.chance(this.rates.delay)) {
      return { kind: 'delay', ms: this.#random.integer(this.rates.delayMinMs, this.rates.delayMaxMs) };
    }
    if (this.#random.chance(this.rates.reorder)) return { kind: 'reorder' };
    return { kind: 'send' };
  }
}

function matches(
  rule: { action?: string | undefined; jobId?: number | undefined },
  delivery: Pick<WebhookDelivery, 'action' | 'jobId'>,
): boolean {
  return (
    (rule.action === undefined || rule.action === delivery.action) &&
    (rule.jobId === undefined || rule.jobId === delivery.jobId)
  );
}
