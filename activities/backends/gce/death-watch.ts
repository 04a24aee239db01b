import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../../contracts/errors.ts';
import type { Instance } from '../../../contracts/ports/backend.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { groupOfRunner } from '../../../contracts/workflows/runner-name.ts';
import { ToldDeaths, type DeathListener } from '../reported-deaths.ts';
import type { GceOperation } from './answers.ts';
import type { Compute } from './compute.ts';
import { PREEMPTED, PREEMPTION_REASON, toInstance } from './instance.ts';

/** How far back preemptions are looked for when a watch begins, milliseconds; their instances are in no list any more. */
const LOOK_BACK_MS = 3_600_000;
/** Compute Engine's clock and ours may differ by so much. */
const SKEW_MS = 120_000;
const MOST_OPERATIONS = 500;

export interface DeathWatchOptions extends DeathListener {
  compute: Compute;
  installation: string;
  zones: readonly string[];
  spot: boolean;
  pollMs: number;
  filter: string;
  /** What this process has made since it was last asked: lists may lag behind. */
  takeMade: () => Instance[];
  log: Logger;
}

/** Looks at one installation's instances again and again: Compute Engine has no events to listen to. */
export class DeathWatch {
  readonly #options: DeathWatchOptions;
  /** Those that ran when last heard of, by id. */
  readonly #alive = new Map<string, Instance>();
  readonly #told: ToldDeaths;
  #preemptionsSince = Date.now() - LOOK_BACK_MS;

  constructor(options: DeathWatchOptions) {
    this.#options = options;
    this.#told = new ToldDeaths(options);
  }

  /** Ends when `abort` fires. */
  async run(abort: AbortSignal): Promise<void> {
    const { pollMs, log } = this.#options;
    while (!abort.aborted) {
      try {
        await this.#sweep(abort);
      } catch (error) {
        if (abort.aborted) return;
        log.warn({ reason: messageOf(error) }, 'looking at instances failed; looking again');
      }
      // Several workers of a name should not all ask at once.
      await sleep(pollMs * (0.8 + 0.4 * Math.random()), undefined, { signal: abort }).catch(() => undefined);
    }
  }

  async #sweep(abort: AbortSignal): Promise<void> {
    const { compute, filter, takeMade, spot } = this.#options;
    for (const made of takeMade()) if (!this.#told.has(made.id)) this.#alive.set(made.id, made);
    const listed = (await compute.list(filter, abort)).map(toInstance);
    const present = new Set(listed.map(({ id }) => id));
    for (const instance of listed) {
      if (instance.state === 'running') this.#alive.set(instance.id, instance);
      else await this.#tell(instance, abort);
    }
    for (const instance of this.#alive.values()) if (!present.has(instance.id)) await this.#look(instance, abort);
    if (spot) await this.#lookForPreempted(present, abort);
    // Those of a preemption that is still looked at would be told once more.
    if (!spot) this.#told.forgetAllBut(present);
  }

  /** It is in no list: only that the API doesn't know it, when asked for it alone, is its end. */
  async #look(missing: Instance, abort: AbortSignal): Promise<void> {
    const [zone = ''] = missing.id.split('/');
    const found = await this.#options.compute.get(zone, missing.runner, abort);
    const instance = found && toInstance(found);
    if (instance?.id === missing.id && instance.state === 'running') return;
    const dead: Instance =
      instance?.id === missing.id ? instance : { ...missing, state: 'dead', exitCode: null, reason: 'it was deleted' };
    await this.#tell(dead, abort);
  }

  /** Preempted spot instances delete themselves: what nobody saw alive is known from the zone's operations alone. */
  async #lookForPreempted(present: ReadonlySet<string>, abort: AbortSignal): Promise<void> {
    const { compute, installation, zones } = this.#options;
    const begun = Date.now();
    for (const zone of zones) {
      const filter = `operationType = "${PREEMPTED}"`;
      for (const operation of await compute.operations(zone, filter, MOST_OPERATIONS, abort)) {
        if (Date.parse(operation.insertTime) < this.#preemptionsSince) break;
        const group = groupOfRunner(installation, operation.targetLink);
        const id = `${zone}/${operation.targetId}`;
        if (group === undefined || this.#told.has(id) || present.has(id)) continue;
        if ((await compute.get(zone, operation.targetLink, abort)) === undefined) {
          await this.#tell(preempted(id, group, operation), abort);
        }
      }
    }
    this.#preemptionsSince = begun - SKEW_MS;
  }

  async #tell(dead: Instance, abort: AbortSignal): Promise<void> {
    this.#alive.delete(dead.id);
    if (!this.#told.isNews(dead)) return;
    const reason = (await this.#wasPreempted(dead, abort)) ? PREEMPTION_REASON : dead.reason;
    this.#told.tell({ ...dead, reason });
  }

  async #wasPreempted(dead: Instance, abort: AbortSignal): Promise<boolean> {
    if (dead.market !== 'spot' || dead.reason === PREEMPTION_REASON) return dead.reason === PREEMPTION_REASON;
    const [zone = ''] = dead.id.split('/');
    const filter = `targetLink eq ".*/instances/${dead.runner}"`;
    const operations = await this.#options.compute.operations(zone, filter, 20, abort);
    return operations.some(({ operationType }) => operationType === PREEMPTED);
  }
}

function preempted(id: string, group: string, operation: GceOperation): Instance {
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
