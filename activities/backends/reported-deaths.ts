import type { Instance } from '../../contracts/ports/backend.ts';

export interface DeathListener {
  onDeath: (dead: Instance) => void;
  /** Whether this process removes that runner's instance: its death is then not reported. */
  isRemoving: (runner: string) => boolean;
}

/** The deaths that one watch has reported: each once, and none that this process causes itself. */
export class ReportedDeaths {
  readonly #listener: DeathListener;
  readonly #ids = new Set<string>();

  constructor(listener: DeathListener) {
    this.#listener = listener;
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Whether {@link report} would report this death: if not, its cause need not be looked up. */
  isUnreported({ id, runner }: Pick<Instance, 'id' | 'runner'>): boolean {
    return !this.#ids.has(id) && !this.#listener.isRemoving(runner);
  }

  report(dead: Instance): void {
    if (!this.isUnreported(dead)) return;
    this.#ids.add(dead.id);
    this.#listener.onDeath(dead);
  }

  /** @param present the ids in a complete list: an instance that left the list does not come back */
  forgetAllBut(present: ReadonlySet<string>): void {
    for (const id of this.#ids) if (!present.has(id)) this.#ids.delete(id);
  }
}
