import { BatonError } from '../../contracts/errors.ts';

export interface BodyLimits {
  /** Bytes of one caller's bodies at once. */
  perCaller: number;
  /** Bytes of all bodies at once. */
  total: number;
}

const RETRY_AFTER_S = 10;

/** Counts the bytes of bodies that are in memory before their sender is known, and refuses more than the limits. */
export class BodyQuota {
  readonly #limits: BodyLimits;
  readonly #byCaller = new Map<string, number>();
  #total = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** All bytes that are held now. */
  get held(): number {
    return this.#total;
  }

  /** @throws BatonError TOO_MANY_REQUESTS or OVERLOADED, with `details.retryAfterS` */
  take(caller: string, bytes: number): void {
    const known = this.#byCaller.get(caller) ?? 0;
    const details = { retryAfterS: RETRY_AFTER_S };
    if (known + bytes > this.#limits.perCaller) {
      const doing = `reading a body: ${caller} already sends ${known} bytes of large bodies`;
      throw new BatonError('TOO_MANY_REQUESTS', doing, { details });
    }
    if (this.#total + bytes > this.#limits.total) {
      throw new BatonError('OVERLOADED', `reading a body: ${this.#total} bytes of large bodies are in memory`, {
        details,
      });
    }
    this.#byCaller.set(caller, known + bytes);
    this.#total += bytes;
  }

  /** Gives back what {@link take} took. */
  release(caller: string, bytes: number): void {
    const left = (this.#byCaller.get(caller) ?? 0) - bytes;
    if (left > 0) this.#byCaller.set(caller, left);
    else this.#byCaller.delete(caller);
    this.#total -= bytes;
  }
}
