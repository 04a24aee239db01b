/** One App (or the token). */
export interface App {
  /** Undefined: it serves all organisations. */
  organization?: string | undefined;
  /** The part of its budget that is left, 0 to 1. */
  room: () => number;
}

/** Chooses among several Apps that share the load: the one of the organisation that has the most budget left. */
export class AppChoice<T extends App> {
  readonly all: readonly T[];
  #turn = 0;

  /** @param apps at least one */
  constructor(apps: readonly T[]) {
    this.all = apps;
  }

  /** The App for calls about an organisation; the first App where none serves the organisation. */
  choose(organization: string): T {
    const fit = this.list(organization);
    this.#turn += 1;
    // Apps with the same budget take turns.
    const turned = fit.map((_app, index) => fit[(index + this.#turn) % fit.length]).filter((app) => app !== undefined);
    const [best] = turned.sort((a, b) => b.room() - a.room());
    if (best === undefined) throw new Error('no App is configured');
    return best;
  }

  /** The Apps that serve an organisation; the first App where none does. */
  list(organization: string): readonly T[] {
    const wanted = organization.toLowerCase();
    const fit = this.all.filter((app) => (app.organization ?? wanted).toLowerCase() === wanted);
    return fit.length > 0 ? fit : this.all.slice(0, 1);
  }

  /** The App for calls about the repository `owner/name`. */
  chooseForRepository(repository: string): T {
    return this.choose(repository.split('/')[0] ?? '');
  }
}
