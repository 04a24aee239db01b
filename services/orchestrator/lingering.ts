import type { Client } from '@temporalio/client';
import { Gauge, type Registry } from 'prom-client';
import { getErrorMessage } from '../../contracts/errors.ts';
import type { Logger } from '../../contracts/lib/log.ts';
import { RUNNER_WORKFLOW } from '../../contracts/workflows/runner.ts';
import type { LiveConfig } from '../shared/live-config.ts';

const QUERY = `WorkflowType = '${RUNNER_WORKFLOW}' AND ExecutionStatus = 'Running' AND BatonPhase = 'lingering'`;
/** More are not counted: the number is for people. */
const MAX_COUNTED = 10_000;
/** Status page and metrics ask every few seconds. */
const MAX_AGE_MS = 5000;

/** Registrations that the forge has not let go of although their instances are gone, by group. */
export class LingeringRegistrations {
  readonly #client: Client;
  #latest: { at: number; counts: Promise<ReadonlyMap<string, number>> } | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  /** By group; a group that has none is left out. At most a few seconds old. @throws what Temporal's client throws */
  async count(): Promise<ReadonlyMap<string, number>> {
    if (this.#latest === undefined || Date.now() - this.#latest.at > MAX_AGE_MS) {
      this.#latest = { at: Date.now(), counts: this.#read() };
    }
    return await this.#latest.counts;
  }

  /** Registers a gauge of them. Each orchestrator reports the same number. */
  show(registry: Registry, live: LiveConfig, log: Logger): void {
    const gauge = new Gauge({
      name: 'baton_registrations_lingering',
      help: 'Registrations whose instances are gone and that the forge has not let go of, by group; the same from each orchestrator',
      labelNames: ['group'],
      registers: [registry],
      collect: async () => {
        try {
          const counts = await this.count();
          gauge.reset();
          for (const { name } of live.current.groups) gauge.set({ group: name }, counts.get(name) ?? 0);
          for (const [group, count] of counts) gauge.set({ group }, count);
        } catch (error) {
          // The other metrics are served all the same.
          log.warn({ reason: getErrorMessage(error) }, 'counting lingering registrations failed');
        }
      },
    });
  }

  async #read(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>();
    let counted = 0;
    for await (const { searchAttributes } of this.#client.workflow.list({ query: QUERY, pageSize: 1000 })) {
      const [group] = searchAttributes['BatonGroup'] ?? [];
      if (typeof group === 'string') counts.set(group, (counts.get(group) ?? 0) + 1);
      counted += 1;
      if (counted === MAX_COUNTED) break;
    }
    return counts;
  }
}
