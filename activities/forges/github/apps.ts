import type {
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
} from '../../../contracts/forge.ts';

/** One App (or the token), and how much room there is in its budget, 0 to 1. */
export interface App {
  /** Undefined: good for all. */
  organization?: string | undefined;
  forge: Forge;
  room: () => number;
}

/** Several Apps that share the load: each call goes by the one that has most room among those of its organisation. */
export class GithubApps implements Forge {
  readonly type = 'github';
  readonly #apps: readonly App[];
  #turn = 0;

  /** @param apps at least one */
  constructor(apps: readonly App[]) {
    this.#apps = apps;
  }

  register(order: RegistrationOrder): Promise<Registration> {
    return this.#for(order.scope.organization).register(order);
  }

  deregister(scope: ForgeScope, runner: string): Promise<DeregistrationResult> {
    return this.#for(scope.organization).deregister(scope, runner);
  }

  registrations(group: ForgeGroup): Promise<ForgeRunner[]> {
    return this.#for(group.scope.organization).registrations(group);
  }

  keepGroup(group: ForgeGroup): Promise<string[]> {
    return this.#for(group.scope.organization).keepGroup(group);
  }

  job(repository: string, id: number): Promise<ForgeJob | undefined> {
    return this.#for(repository.split('/')[0] ?? '').job(repository, id);
  }

  queuedJobs(order: QueueOrder): Promise<{ jobs: ForgeJob[]; cursor: number }> {
    return this.#for(order.scope.organization).queuedJobs(order);
  }

  async redeliver(order: RedeliveryOrder): Promise<Redelivery> {
    if (order.hook.kind !== 'app') return await this.#for(order.hook.organization).redeliver(order);
    // Each App has a webhook of its own.
    const all = await Promise.all(this.#apps.map(({ forge }) => forge.redeliver(order)));
    return { again: all.flatMap(({ again }) => again), notes: all.flatMap(({ notes }) => notes) };
  }

  #for(organization: string): Forge {
    const wanted = organization.toLowerCase();
    const fit = this.#apps.filter((app) => (app.organization ?? wanted).toLowerCase() === wanted);
    this.#turn += 1;
    // Of equals each in turn.
    const turned = fit.map((_app, index) => fit[(index + this.#turn) % fit.length]).filter((app) => app !== undefined);
    const [best] = turned.sort((a, b) => b.room() - a.room());
    const chosen = best ?? this.#apps[0];
    if (chosen === undefined) throw new Error('no App at all');
    return chosen.forge;
  }
}
