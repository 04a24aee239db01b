import pMap from 'p-map';
import { Counter, Histogram, type Registry } from 'prom-client';
import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { UsageMessage } from '../../../contracts/messages/usage.ts';
import { type InstanceUse } from '../../../contracts/workflows/instance-use.ts';
import { computeCost, instanceMs } from './instance-cost.ts';
import type { LiveConfig } from '../../shared/live-config.ts';

const ACK_TIMEOUT_MS = 5000;
/** Publications that wait for their acknowledgement at once. */
const MAX_CONCURRENT_RECORDS = 32;
const HOUR_MS = 3_600_000;
const LABELS = ['group', 'repository', 'backend', 'machine', 'market'] as const;

/** Records what each instance was used for and what it cost, once per runner: in the usage stream and in the metrics. */
export class UsageRecorder {
  readonly #bus: Bus;
  readonly #live: LiveConfig;
  readonly #hours: Counter<(typeof LABELS)[number]>;
  readonly #cost: Counter<(typeof LABELS)[number] | 'currency'>;
  readonly #jobCost: Histogram<'group' | 'repository' | 'currency'>;

  constructor({ bus, live, metrics }: { bus: Bus; live: LiveConfig; metrics: Registry }) {
    this.#bus = bus;
    this.#live = live;
    const registers = [metrics];
    this.#hours = new Counter({
      name: 'baton_instance_hours_total',
      help: 'Hours that ended instances existed',
      labelNames: LABELS,
      registers,
    });
    this.#cost = new Counter({
      name: 'baton_instance_cost_total',
      help: 'Cost of instances that have ended, by the prices of the configuration',
      labelNames: [...LABELS, 'currency'],
      registers,
    });
    this.#jobCost = new Histogram({
      name: 'baton_job_cost',
      help: 'Cost of the instance of one job',
      labelNames: ['group', 'repository', 'currency'],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50],
      registers,
    });
  }

  /**
   * Resolves when the stream has all records. Recording the same runner again changes nothing.
   *
   * @throws BatonError BUS_UNAVAILABLE
   */
  async record(uses: readonly InstanceUse[]): Promise<void> {
    await pMap(uses, (use) => this.#record(use), { concurrency: MAX_CONCURRENT_RECORDS });
  }

  async #record(use: InstanceUse): Promise<void> {
    const cost = computeCost(use, this.#live.current.backends[use.backend]?.prices);
    const message: UsageMessage = { version: 1, ...use, cost };
    const { duplicate } = await publishOnce(this.#bus, subjects.usage(use.group), encode(message), {
      id: `usage-${use.runner}`,
      timeoutMs: ACK_TIMEOUT_MS,
    });
    if (duplicate) return;
    const { group, backend, repository = '', machine = '', market = '' } = use;
    const labels = { group, backend, repository, machine, market };
    this.#hours.inc(labels, instanceMs(use) / HOUR_MS);
    if (cost === undefined) return;
    this.#cost.inc({ ...labels, currency: cost.currency }, cost.amount);
    if (repository !== '') this.#jobCost.observe({ group, repository, currency: cost.currency }, cost.amount);
  }
}
