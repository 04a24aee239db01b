import type { Instance } from '../../contracts/ports/backend.ts';

export interface DeathListener {
  onDeath: (dead: Instance) => void;
  /** Whether this process is removing that runner's instance just now: its death is no news. */
  isRemoving: (runner: string) => boolean;
}

/** What one watch of an installation's instances has told: each death once, and none that this process brings about itself. */
export class ReportedDeaths {
  readonly #listener: DeathListener;
  readonly #ids = new Set<string>();

  constructor(listener: DeathListener) {
    this.#listener = listener;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether its death would be told now: what it died of need not be asked for else. */
  isUnreported({ id, runner }: Pick<Instance, 'id' | 'runner'>): boolean {
    return !this.#ids.has(id) && !this.#listener.isRemoving(runner);
  }

  report(dead: Instance): void {
    if (!this.isUnreported(dead)) return;
    this.#ids.add(dead.id);
    this.#listener.onDeath(dead);
  }

  /** @param present the ids in a whole list: what has left it does not come back */
  forgetAllBut(present: ReadonlySet<string>): void {
    for (const id of this.#ids) if (!present.has(id)) this.#ids.delete(id);
  }
}
