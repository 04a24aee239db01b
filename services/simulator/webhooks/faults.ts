import { z } from 'zod';
import type { Random } from '../random.ts';
import type { WebhookDelivery } from '../state.ts';

const rate = z.number().min(0).max(1);

/** Rates of faults of `workflow_job` webhooks, each from 0 to 1. */
export const faultRates = z.strictObject({
  /** The webhook never arrives. */
  loss: rate,
  /** Whether a lost webhook is in the list of deliveries, as failed, and can be redelivered. */
  lossIsRecorded: z.boolean(),
  /** The webhook arrives twice, with the same GUID. */
  duplication: rate,
  /** The webhook arrives late. */
  delay: rate,
  delayMinMs: z.number().nonnegative(),
  delayMaxMs: z.number().nonnegative(),
  /** The webhook arrives after the next one. */
  reorder: rate,
  /** A re-run sends `completed` again for the jobs that it doesn't repeat, as GitHub may. */
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

/** A fault for exactly the next `count` webhooks that match. */
export const oneShot = z.strictObject({
  fault: z.enum(['lose', 'duplicate', 'delay']),
  ...which,
  count: z.number().int().positive().default(1),
  delayMs: z.number().nonnegative().default(1_000),
});

/** All webhooks that match are held until they are released. */
export const holdRule = z.strictObject(which);

export type OneShot = z.infer<typeof oneShot>;
export type HoldRule = z.infer<typeof holdRule>;

export type Fate = { kind: 'send' | 'lose' | 'duplicate' | 'reorder' | 'hold' } | { kind: 'delay'; ms: number };

/** Decides the fate of each webhook. Pings always arrive. */
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
