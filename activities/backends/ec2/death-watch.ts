import { setTimeout as sleep } from 'node:timers/promises';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { ReportedDeaths, type DeathListener } from '../reported-deaths.ts';
import { toPlainInstance, type Ec2Instance, type Ec2Instances } from './instances.ts';

/** An instance missing from a list is looked up by its id; after this many empty answers in a row it counts as gone. */
const MAX_EMPTY_ANSWERS = 3;

export interface Ec2DeathWatchOptions extends DeathListener {
  instances: Ec2Instances;
  pollMs: number;
  log: Logger;
}

/** Polls all instances of an installation with one list call. */
export class Ec2DeathWatch {
  readonly #options: Ec2DeathWatchOptions;
  readonly #reported: ReportedDeaths;
  /** The instances that were running when last seen, and how often they were not found since. */
  readonly #alive = new Map<string, { instance: Ec2Instance; missed: number }>();

  constructor(options: Ec2DeathWatchOptions) {
    this.#options = options;
    this.#reported = new ReportedDeaths(options);
  }

  /** Ends when `abort` fires. */
  async run(abort: AbortSignal): Promise<void> {
    while (!abort.aborted) {
      try {
        await this.#sweep(abort);
      } catch (error) {
        // A failed call says nothing about the instances.
        if (!abort.aborted)
          this.#options.log.warn({ reason: getErrorMessage(error) }, 'listing instances failed; will retry');
      }
      await sleep(this.#options.pollMs, undefined, { signal: abort }).catch(() => undefined);
    }
  }

  async #sweep(abort: AbortSignal): Promise<void> {
    const found = await this.#options.instances.list(abort);
    const living = new Set(found.filter(({ state }) => state === 'running').map(({ runner }) => runner));
    const present = new Set(found.map(({ id }) => id));
    for (const instance of found) {
      if (instance.state === 'running') this.#alive.set(instance.id, { instance, missed: 0 });
      // Otherwise it is a duplicate, created by mistake: the runner itself is alive.
      else if (!living.has(instance.runner)) this.#report(instance);
    }
    for (const [id, known] of this.#alive) if (!present.has(id)) await this.#search(id, known, abort);
    this.#reported.forgetAllBut(present);
  }

  /** A terminated instance soon loses its tags, by which lists find it; EC2 still returns it by id for an hour. */
  async #search(id: string, known: { instance: Ec2Instance; missed: number }, abort: AbortSignal): Promise<void> {
    const found = await this.#options.instances.findById(id, abort);
    if (found === undefined) {
      known.missed += 1;
      if (known.missed < MAX_EMPTY_ANSWERS) return;
      this.#report({
        ...known.instance,
        state: 'dead',
        exitCode: null,
        reason: 'is gone: EC2 does not know it any more',
      });
    } else if (found.state === 'dead') {
      const { runner, group, removed } = known.instance;
      this.#report({ ...found, runner, group, removed: removed || found.removed });
    }
  }

  #report(instance: Ec2Instance): void {
    this.#alive.delete(instance.id);
    if (!instance.removed) this.#reported.report(toPlainInstance(instance));
  }
}
