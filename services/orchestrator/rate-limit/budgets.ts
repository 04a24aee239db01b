import type { KV } from 'nats';
import { Gauge, Histogram, type Registry } from 'prom-client';
import { FORGE_BUCKET, type Bus } from '../../../contracts/lib/nats.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import type { ForgeLimit } from '../../../contracts/messages/status.ts';
import { KeyValueBudget } from './shared-budget.ts';

/** An hour after its last call a budget is full again: its state is no longer needed. */
const STATE_TTL_MS = 2 * 3_600_000;

/** The rate-limit budgets of the installation's Apps (or token), which all orchestrators share, and their metrics. */
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
    this.#gauge(
      metrics,
      'baton_forge_remaining',
      'Requests left in the forge’s primary limit, as the forge last reported',
      (budget) => {
        return budget.view().state.primary?.remaining;
      },
    );
    this.#gauge(metrics, 'baton_forge_blocked_seconds', 'Seconds until the forge accepts calls again', (budget) => {
      return Math.max(0, budget.view().state.blockedUntil - Date.now()) / 1000;
    });
  }

  /** Opens the NATS bucket that holds the budgets. */
  static async open(bus: Bus, metrics: Registry, log: Logger): Promise<Budgets> {
    const bucket = await bus.jetstream().views.kv(FORGE_BUCKET, { ttl: STATE_TTL_MS, history: 1 });
    return new Budgets(bucket, metrics, log);
  }

  /**
   * Creates a budget; metrics and status show it from now on.
   *
   * @param key names the App or token in the bucket, metrics and status: letters, digits and dashes
   */
  create(key: string, pointsPerMinute: number): KeyValueBudget {
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

  /** The budgets as the status shows them. */
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
