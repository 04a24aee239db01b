/** One App (or the token), and how much room there is in its budget, 0 to 1. */
export interface App {
  /** Undefined: good for all. */
  organization?: string | undefined;
  room: () => number;
}

/** Several Apps that share the load: each call goes by the one that has most room among those of its organisation. */
export class AppChoice<T extends App> {
  readonly all: readonly T[];
  #turn = 0;

  /** @param apps at least one */
  constructor(apps: readonly T[]) {
    this.all = apps;
  }

  /** The one to ask about an organisation; where none is its own or good for all, the first. */
  choose(organization: string): T {
    const wanted = organization.toLowerCase();
    const fit = this.all.filter((app) => (app.organization ?? wanted).toLowerCase() === wanted);
    this.#turn += 1;
    // Of equals each in turn.
    const turned = fit.map((_app, index) => fit[(index + this.#turn) % fit.length]).filter((app) => app !== undefined);
    const [best] = turned.sort((a, b) => b.room() - a.room());
    const chosen = best ?? this.all[0];
    if (chosen === undefined) throw new Error('no App at all');
    return chosen;
  }

  /** The same by `owner/name`. */
  chooseForRepository(repository: string): T {
    return this.choose(repository.split('/')[0] ?? '');
  }
}
