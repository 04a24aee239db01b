import { setTimeout as sleep } from 'node:timers/promises';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Instance } from '../../../contracts/ports/backend.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { parseGroupFromRunnerName } from '../../../contracts/workflows/runner-name.ts';
import { ReportedDeaths, type DeathListener } from '../reported-deaths.ts';
import type { GceOperation } from './answers.ts';
import type { Compute } from './compute.ts';
import { PREEMPTED, PREEMPTION_REASON, toInstance } from './instance.ts';

/** A new watch looks for preemptions this far back: preempted instances are no longer in any list. */
const LOOK_BACK_MS = 3_600_000;
/** Compute Engine's clock and this machine's may differ by this much. */
const CLOCK_SKEW_MS = 120_000;
const MAX_OPERATIONS = 500;

export interface GceDeathWatchOptions extends DeathListener {
  compute: Compute;
  installation: string;
  zones: readonly string[];
  spot: boolean;
  pollMs: number;
  filter: string;
  /** Returns the instances that this process created since the last call: lists may lag behind. */
  takeCreated: () => Instance[];
  log: Logger;
}

/** Polls one installation's instances: Compute Engine sends no events. */
export class GceDeathWatch {
  readonly #options: GceDeathWatchOptions;
  /** The instances that were running when last seen, by id. */
  readonly #alive = new Map<string, Instance>();
  readonly #reported: ReportedDeaths;
  #preemptionsSince = Date.now() - LOOK_BACK_MS;

  constructor(options: GceDeathWatchOptions) {
    this.#options = options;
    this.#reported = new ReportedDeaths(options);
  }

  /** Ends when `abort` fires. */
  async run(abort: AbortSignal): Promise<void> {
    const { pollMs, log } = this.#options;
    while (!abort.aborted) {
      try {
        await this.#sweep(abort);
      } catch (error) {
        if (abort.aborted) return;
        log.warn({ reason: getErrorMessage(error) }, 'listing instances failed; will retry');
      }
      // Several workers of one backend should not all poll at the same moment.
      await sleep(pollMs * (0.8 + 0.4 * Math.random()), undefined, { signal: abort }).catch(() => undefined);
    }
  }

  async #sweep(abort: AbortSignal): Promise<void> {
    const { compute, filter, takeCreated: takeMade, spot } = this.#options;
    for (const made of takeMade()) if (!this.#reported.has(made.id)) this.#alive.set(made.id, made);
    const listed = (await compute.list(filter, abort)).map(toInstance);
    const present = new Set(listed.map(({ id }) => id));
    for (const instance of listed) {
      if (instance.state === 'running') this.#alive.set(instance.id, instance);
      else await this.#report(instance, abort);
    }
    for (const instance of this.#alive.values())
      if (!present.has(instance.id)) await this.#reportMissing(instance, abort);
    if (spot) await this.#reportPreempted(present, abort);
    // With spot instances nothing is forgotten: an operation that is still in the list would be reported again.
    if (!spot) this.#reported.forgetAllBut(present);
  }

  /** A list may leave an instance out. Only the API's answer about this one instance shows that it is gone. */
  async #reportMissing(missing: Instance, abort: AbortSignal): Promise<void> {
    const [zone = ''] = missing.id.split('/');
    const found = await this.#options.compute.get(zone, missing.runner, abort);
    const instance = found && toInstance(found);
    if (instance?.id === missing.id && instance.state === 'running') return;
    const dead: Instance =
      instance?.id === missing.id ? instance : { ...missing, state: 'dead', exitCode: null, reason: 'it was deleted' };
    await this.#report(dead, abort);
  }

  /** Preempted instances are deleted: only the zone's operations show those that this watch never saw running. */
  async #reportPreempted(present: ReadonlySet<string>, abort: AbortSignal): Promise<void> {
    const { compute, installation, zones } = this.#options;
    const begun = Date.now();
    for (const zone of zones) {
      const filter = `operationType = "${PREEMPTED}"`;
      for (const operation of await compute.listOperations(zone, filter, MAX_OPERATIONS, abort)) {
        if (Date.parse(operation.insertTime) < this.#preemptionsSince) break;
        const group = parseGroupFromRunnerName(installation, operation.targetLink);
        const id = `${zone}/${operation.targetId}`;
        if (group === undefined || this.#reported.has(id) || present.has(id)) continue;
        if ((await compute.get(zone, operation.targetLink, abort)) === undefined) {
          await this.#report(toPreempted(id, group, operation), abort);
        }
      }
    }
    this.#preemptionsSince = begun - CLOCK_SKEW_MS;
  }

  async #report(dead: Instance, abort: AbortSignal): Promise<void> {
    this.#alive.delete(dead.id);
    if (!this.#reported.isUnreported(dead)) return;
    const reason = (await this.#wasPreempted(dead, abort)) ? PREEMPTION_REASON : dead.reason;
    this.#reported.report({ ...dead, reason });
  }

  async #wasPreempted(dead: Instance, abort: AbortSignal): Promise<boolean> {
    if (dead.market !== 'spot' || dead.reason === PREEMPTION_REASON) return dead.reason === PREEMPTION_REASON;
    const [zone = ''] = dead.id.split('/');
    const filter = `targetLink eq ".*/instances/${dead.runner}"`;
    const operations = await this.#options.compute.listOperations(zone, filter, 20, abort);
    return operations.some(({ operationType }) => operationType === PREEMPTED);
  }
}

function toPreempted(id: string, group: string, operation: GceOperation): Instance {
  return {
    id,
    runner: operation.targetLink,
    group,
    state: 'dead',
    createdAt: new Date(operation.insertTime).toISOString(),
    exitCode: null,
    reason: PREEMPTION_REASON,
    market: 'spot',
  };
}
