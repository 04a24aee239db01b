import type {
  CallOptions,
  DeregistrationResult,
  Forge,
  ForgeGroup,
  ForgeJob,
  ForgeRunner,
  ForgeScope,
  GroupReconciliation,
  LookOptions,
  QueuedJobs,
  QueueOrder,
  Redelivery,
  RedeliveryOrder,
  Registration,
  RegistrationOrder,
  RegistrationOutlook,
} from '../../../contracts/ports/forge.ts';
import { AppChoice, type App } from './app-choice.ts';
import { toScopeName } from './paths.ts';
import { mergeOutlooks } from './scheduler/outlook.ts';
import type { ScopeLimit } from './scheduler/scope-limit.ts';

export interface ForgeApp extends App {
  forge: Forge;
}

/** Several Apps that share the load: each call uses the App of its organisation that can send it soonest. */
export class GithubApps implements Forge {
  readonly type = 'github';
  readonly #choice: AppChoice<ForgeApp>;
  readonly #scopes: ScopeLimit | undefined;

  /**
   * @param apps at least one
   * @param scopes the limit of registrations that the Apps share in each scope
   */
  constructor(apps: readonly ForgeApp[], scopes?: ScopeLimit) {
    this.#choice = new AppChoice(apps);
    this.#scopes = scopes;
  }

  register(order: RegistrationOrder, options?: CallOptions): Promise<Registration> {
    return this.#choice.choose(order.scope.organization, 'registration').forge.register(order, options);
  }

  /** The Apps' rates together, and the wait of the App that can register soonest: that one is chosen. */
  getRegistrationOutlook(scope: ForgeScope, group?: string): RegistrationOutlook {
    const apps = this.#choice.list(scope.organization);
    const outlooks = apps.map(({ forge }) => forge.getRegistrationOutlook(scope, group));
    return mergeOutlooks(outlooks, this.#scopes, toScopeName(scope));
  }

  deregister(scope: ForgeScope, runner: string): Promise<DeregistrationResult> {
    return this.#choice.choose(scope.organization, 'removal').forge.deregister(scope, runner);
  }

  findRegistration(scope: ForgeScope, runner: string, options?: CallOptions): Promise<ForgeRunner | undefined> {
    return this.#choice.choose(scope.organization, 'background').forge.findRegistration(scope, runner, options);
  }

  listRegistrations(scope: ForgeScope, options?: LookOptions): Promise<ForgeRunner[]> {
    return this.#choice.chooseSteady(scope.organization).forge.listRegistrations(scope, options);
  }

  reconcileRunnerGroup(group: ForgeGroup, options?: LookOptions): Promise<GroupReconciliation> {
    return this.#choice.chooseSteady(group.scope.organization).forge.reconcileRunnerGroup(group, options);
  }

  getJob(repository: string, id: number, options?: CallOptions): Promise<ForgeJob | undefined> {
    return this.#choice.chooseSteady(toOwner(repository)).forge.getJob(repository, id, options);
  }

  listQueuedJobs(order: QueueOrder, options?: LookOptions): Promise<QueuedJobs> {
    return this.#choice.chooseSteady(order.scope.organization).forge.listQueuedJobs(order, options);
  }

  async redeliver(order: RedeliveryOrder, options?: CallOptions): Promise<Redelivery> {
    if (order.hook.kind !== 'app') {
      return await this.#choice.chooseSteady(order.hook.organization).forge.redeliver(order, options);
    }
    // Each App has its own webhook.
    const all = await Promise.all(this.#choice.all.map(({ forge }) => forge.redeliver(order, options)));
    return { again: all.flatMap(({ again }) => again), notes: all.flatMap(({ notes }) => notes) };
  }
}

const toOwner = (repository: string): string => repository.split('/')[0] ?? '';
