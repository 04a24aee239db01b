import { z } from 'zod';
import type { Random } from '../random.ts';

/** A fault for the next `count` REST calls that match. */
export const apiFault = z.strictObject({
  method: z.string().optional(),
  /** Part of the path after /api/v3. */
  path: z.string().default('/'),
  /** `status`: nothing is done, and that status answered. `lost`: done, but the connection breaks before the answer. `slow`: done late. */
  fault: z.enum(['status', 'lost', 'slow']),
  status: z.number().int().min(400).max(599).default(502),
  delayMs: z.number().nonnegative().default(1_000),
  count: z.number().int().positive().default(1),
});

export type ApiFault = z.infer<typeof apiFault>;

/** The share of REST calls with a fault, 0 to 1: half of them fail before anything is done, half of them after. */
export const apiFaultRate = z.strictObject({ rate: z.number().min(0).max(1) });

/** Decides which REST calls fail. */
export class ApiFaults {
  readonly pending: ApiFault[] = [];
  rate = 0;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  #byChance(): ApiFault | undefined {
    if (!this.#random.chance(this.rate)) return undefined;
    return apiFault.parse({ fault: this.#random.chance(0.5) ? 'status' : 'lost' });
  }

  /** The fault of this call, if any; counts it. */
  take(method: string, path: string): ApiFault | undefined {
    const fault = this.pending.find(
      (candidate) => (candidate.method ?? method) === method && path.includes(candidate.path),
    );
    if (fault && --fault.count === 0) this.pending.splice(this.pending.indexOf(fault), 1);
    return fault ?? this.#byChance();
  }
}
