import type {
  CallOptions,
  DeregistrationResult,
  Forge,
  ForgeGroup,
  ForgeJob,
  ForgeRunner,
  ForgeScope,
  QueueOrder,
  Redelivery,
  RedeliveryOrder,
  Registration,
  RegistrationOrder,
  RegistrationOutlook,
} from '../../../contracts/ports/forge.ts';
import { AppChoice, type App } from './app-choice.ts';

export interface ForgeApp extends App {
  forge: Forge;
}

/** Several Apps that share the load: each call uses the App of its organisation that has the most budget left. */
export class GithubApps implements Forge {
  readonly type = 'github';
  readonly #choice: AppChoice<ForgeApp>;

  /** @param apps at least one */
  constructor(apps: readonly ForgeApp[]) {
    this.#choice = new AppChoice(apps);
  }

  register(order: RegistrationOrder, options?: CallOptions): Promise<Registration> {
    return this.#choice.choose(order.scope.organization).forge.register(order, options);
  }

  /** The Apps' rates together, and the wait of the App that can register soonest: that one is chosen. */
  getRegistrationOutlook(scope: ForgeScope): RegistrationOutlook {
    const outlooks = this.#choice.list(scope.organization).map(({ forge }) => forge.getRegistrationOutlook(scope));
    const soonest = outlooks.toSorted((a, b) => a.waitMs - b.waitMs)[0];
    const rates = outlooks.map(({ perMinute }) => perMinute);
    return {
      perMinute: rates.reduce((sum, rate) => (sum === null || rate === null ? null : sum + rate), 0),
      waitMs: soonest?.waitMs ?? 0,
      blocked: soonest?.blocked ?? null,
    };
  }

  deregister(scope: ForgeScope, runner: string): Promise<DeregistrationResult> {
    return this.#choice.choose(scope.organization).forge.deregister(scope, runner);
  }

  listRegistrations(group: ForgeGroup): Promise<ForgeRunner[]> {
    return this.#choice.choose(group.scope.organization).forge.listRegistrations(group);
  }

  reconcileRunnerGroup(group: ForgeGroup): Promise<string[]> {
    return this.#choice.choose(group.scope.organization).forge.reconcileRunnerGroup(group);
  }

  getJob(repository: string, id: number): Promise<ForgeJob | undefined> {
    return this.#choice.chooseForRepository(repository).forge.getJob(repository, id);
  }

  listQueuedJobs(order: QueueOrder): Promise<{ jobs: ForgeJob[]; cursor: number }> {
    return this.#choice.choose(order.scope.organization).forge.listQueuedJobs(order);
  }

  async redeliver(order: RedeliveryOrder): Promise<Redelivery> {
    if (order.hook.kind !== 'app') return await this.#choice.choose(order.hook.organization).forge.redeliver(order);
    // Each App has its own webhook.
    const all = await Promise.all(this.#choice.all.map(({ forge }) => forge.redeliver(order)));
    return { again: all.flatMap(({ again }) => again), notes: all.flatMap(({ notes }) => notes) };
  }
}
