import { isCancellation } from '@temporalio/workflow';
import type { InstanceSpec } from '../../contracts/ports/backend.ts';
import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';
import type { RunnerInput } from '../../contracts/workflows/runner.ts';
import { findRootMessage } from '../lib/failure.ts';
import { proxyCreateInstance } from './activities.ts';
import type { Facts } from './facts.ts';
import { toInstanceUse, type Purchase } from './instance-use.ts';

/** What continue-as-new carries over. */
export interface CreationState {
  instanceId: string | undefined;
  purchase?: Purchase | undefined;
}

/** The creation of a runner's instance, and what is known of that from its backend. */
export class InstanceCreation {
  readonly #input: RunnerInput;
  readonly #facts: Facts;
  #instanceId: string | undefined;
  /** What the instance is billed as, and since when. */
  #purchase: Purchase | undefined;

  constructor(input: RunnerInput, facts: Facts, carried?: CreationState) {
    this.#input = input;
    this.#facts = facts;
    this.#instanceId = carried?.instanceId;
    this.#purchase = carried?.purchase;
  }

  /** Undefined until it is created. */
  get instanceId(): string | undefined {
    return this.#instanceId;
  }

  toState(): CreationState {
    return { instanceId: this.#instanceId, purchase: this.#purchase };
  }

  /**
   * Creates the instance.
   *
   * @param times when its runner must have started, and when it ends at the latest, ISO 8601
   * @returns whether its backend can tag it; undefined where the creation failed for good: the facts say why
   */
  async run(times: Pick<InstanceSpec, 'startBy' | 'expiresAt'>): Promise<{ taggable: boolean } | undefined> {
    const { settings, runner } = this.#input;
    const { installation, name: group } = settings;
    const { createInstance } = proxyCreateInstance(settings, runner);
    try {
      const created = await createInstance({ ...settings.instance, installation, group, runner, ...times });
      this.#instanceId = created.instanceId;
      this.#purchase = { machine: created.machine, market: created.market, from: new Date().toISOString() };
      return { taggable: created.taggable === true };
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.#facts.createProblem = findRootMessage(error);
      return undefined;
    }
  }

  /** What the instance was used for until now; undefined where there is none. */
  toUse(): InstanceUse | undefined {
    const { settings, runner } = this.#input;
    return this.#purchase && toInstanceUse(settings, runner, this.#purchase, this.#facts);
  }
}
