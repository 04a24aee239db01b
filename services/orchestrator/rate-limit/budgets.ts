import type { KV } from 'nats';
import { Gauge, Histogram, type Registry } from 'prom-client';
import { FORGE_BUCKET, type Bus } from '../../../contracts/lib/nats.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { ForgeLimit } from '../../../contracts/messages/status.ts';
import { KeyValueBudget } from './shared-budget.ts';

/** An hour after its last call a budget is full again, and nothing need be known of it. */
const KEPT_MS = 2 * 3_600_000;

/** The budgets of all Apps (or the token) of this installation, shared with every other orchestrator, with their numbers. */
export class Budgets {
  readonly #bucket: KV;
  readonly #log: Logger;
  readonly #budgets: KeyValueBudget[] = [];
  readonly #wait: Histogram<'budget' | 'urgency'>;

  private constructor(bucket: KV, metrics: Registry, log: Logger) {
    this.#bucket = bucket;
    this.#log = log;
    this.#wait = new Histogram({
      name: 'baton_forge_wait_seconds',
      help: 'How long calls to the forge waited for its rate limit, by App (or token) and urgency',
      labelNames: ['budget', 'urgency'],
      buckets: [0.01, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers: [metrics],
    });
    this.#gauge(metrics, 'baton_forge_waiting', 'Calls to the forge that wait for its rate limit now', (budget) => {
      return budget.view().waiting;
    });
    this.#gauge(metrics, 'baton_forge_remaining', 'Requests left in the forge’s primary limit, it says', (budget) => {
      return budget.view().state.primary?.remaining;
    });
    this.#gauge(metrics, 'baton_forge_blocked_seconds', 'For how long the forge wants no call at all', (budget) => {
      return Math.max(0, budget.view().state.blockedUntil - Date.now()) / 1000;
    });
  }

  static async open(bus: Bus, metrics: Registry, log: Logger): Promise<Budgets> {
    const bucket = await bus.jetstream().views.kv(FORGE_BUCKET, { ttl: KEPT_MS, history: 1 });
    return new Budgets(bucket, metrics, log);
  }

  /** @param key whose, as people and the bucket name it: letters, digits and dashes */
  make(key: string, pointsPerMinute: number): KeyValueBudget {
    const budget = new KeyValueBudget({
      key,
      bucket: this.#bucket,
      pointsPerMinute,
      onWait: (urgency, seconds) => this.#wait.observe({ budget: key, urgency }, seconds),
      log: this.#log,
    });
    this.#budgets.push(budget);
    return budget;
  }

  /** For the status. */
  limits(): ForgeLimit[] {
    return this.#budgets.map((budget) => {
      const { key, waiting, state } = budget.view();
      const { primary, blockedUntil } = state;
      return {
        name: key,
        waiting,
        limit: primary?.limit ?? null,
        remaining: primary?.remaining ?? null,
        resetAt: primary === undefined ? null : new Date(primary.resetAt).toISOString(),
        blockedUntil: blockedUntil > Date.now() ? new Date(blockedUntil).toISOString() : null,
      };
    });
  }

  #gauge(registry: Registry, name: string, help: string, value: (budget: KeyValueBudget) => number | undefined): void {
    const gauge: Gauge<'budget'> = new Gauge({
      name,
      help,
      labelNames: ['budget'],
      registers: [registry],
      collect: () => {
        for (const budget of this.#budgets) {
          const now = value(budget);
          if (now !== undefined) gauge.set({ budget: budget.view().key }, now);
        }
      },
    });
  }
}
