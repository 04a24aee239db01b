import { REGISTRATION_COST, type ForgeCall, type Priority } from './scheduler/call.ts';

/** One App (or the token). */
export interface App {
  /** Undefined: it serves all organisations. */
  organization?: string | undefined;
  limits: AppLimits;
}

/** What an App's limits allow now, as far as this process knows. */
export interface AppLimits {
  /** How long such a call would have to wait, milliseconds. */
  getWait(call: ForgeCall): number;
  /** The part of its budget that is left, at most 1. */
  getRoom(): number;
}

/** What is typical for a priority: a registration or a removal is a change, a look at the state reads. */
const TYPICAL_COST: Readonly<Record<Priority, number>> = { registration: REGISTRATION_COST, removal: 5, background: 1 };

const toTypicalCall = (priority: Priority): ForgeCall => ({
  priority,
  cost: TYPICAL_COST[priority],
  actor: 'installation',
});

/**
 * Chooses among several Apps that share the load: the one of the organisation that can send the call soonest; of several, the one
 * that has the most budget left.
 */
export class AppChoice<T extends App> {
  readonly all: readonly T[];
  #turn = 0;

  /** @param apps at least one */
  constructor(apps: readonly T[]) {
    this.all = apps;
  }

  /** The App for calls about an organisation; the first App where none serves the organisation. */
  choose(organization: string, priority: Priority): T {
    const fit = this.list(organization);
    this.#turn += 1;
    const call = toTypicalCall(priority);
    // Apps with the same budget take turns.
    const turned = fit.map((_app, index) => fit[(index + this.#turn) % fit.length]).filter((app) => app !== undefined);
    const ranked = turned.map((app) => ({ app, waitMs: app.limits.getWait(call), room: app.limits.getRoom() }));
    const [best] = ranked.sort((a, b) => a.waitMs - b.waitMs || b.room - a.room);
    if (best === undefined) throw new Error('no App is configured');
    return best.app;
  }

  /**
   * The App for looking around in an organisation: the same one while it need not wait, because what it has read before costs nothing
   * where it has not changed.
   */
  chooseSteady(organization: string): T {
    const call = toTypicalCall('background');
    const steady = this.list(organization).find(({ limits }) => limits.getWait(call) === 0);
    return steady ?? this.choose(organization, 'background');
  }

  /** The Apps that serve an organisation; the first App where none does. */
  list(organization: string): readonly T[] {
    const wanted = organization.toLowerCase();
    const fit = this.all.filter((app) => (app.organization ?? wanted).toLowerCase() === wanted);
    return fit.length > 0 ? fit : this.all.slice(0, 1);
  }

  /** The App for calls about the repository `owner/name`. */
  chooseForRepository(repository: string, priority: Priority): T {
    return this.choose(repository.split('/')[0] ?? '', priority);
  }
}
