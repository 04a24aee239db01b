import { proxyActivities, uuid4 } from '@temporalio/workflow';
import type {
  DispatcherNews,
  DispatcherSnapshot,
  GroupMode,
  GroupSettings,
  OrchestratorActivities,
  PlacesStatement,
} from '../../contracts/workflows/actors.ts';
import type { Roster } from '../../contracts/workflows/health.ts';
import { runnerName } from '../../contracts/workflows/runner-name.ts';
import { Ledger, type LedgerState, type Limits } from './demand-tracker.ts';
import { Places, type PlacesState } from './slots.ts';

/** 500 starts in one workflow task time out; chunks of 10 and of 50 are as fast as each other. */
const START_CHUNK = 50;
/** Jobs and runners named in one activity. */
const MOVE_CHUNK = 200;

type Deeds = Pick<OrchestratorActivities, 'startRunners' | 'retireRunners' | 'moveJobs' | 'statePlaces'>;

/** Not local activities: those would hold the workflow task open while the news of a burst pile up in the server. */
const deeds = (summary: string): Deeds =>
  proxyActivities<Deeds>({
    startToCloseTimeout: '1 min',
    retry: { initialInterval: '200 ms', maximumInterval: '10 s' },
    summary,
  });
const { startRunners } = deeds('start runners');
const { retireRunners } = deeds('ask surplus runners to go');
const { moveJobs } = deeds('give waiting jobs to other groups');
const { statePlaces } = deeds('ask for places on the backend');

/** What continue-as-new carries over. */
export interface DispatcherState {
  ledger: LedgerState;
  places: PlacesState;
  mode: GroupMode;
  removed: boolean;
  review: boolean;
}

/** A dispatcher's own deeds, and what it takes in. */
export class DispatcherActor {
  settings: GroupSettings;
  readonly ledger: Ledger;
  readonly #places: Places;
  #mode: GroupMode;
  #removed: boolean;
  /** Something changed that may leave runners without need. */
  #review: boolean;
  /** Counted, and perhaps not started yet. */
  #underWay: readonly string[] = [];

  constructor(settings: GroupSettings, carried?: DispatcherState) {
    this.settings = settings;
    this.ledger = new Ledger(carried?.ledger);
    this.#places = new Places(carried?.places);
    this.#mode = carried?.mode ?? 'active';
    this.#removed = carried?.removed ?? false;
    this.#review = carried?.review ?? false;
  }

  toState(): DispatcherState {
    return {
      ledger: this.ledger.toState(),
      places: this.#places.toState(),
      mode: this.#mode,
      removed: this.#removed,
      review: this.#review,
    };
  }

  hear(item: DispatcherNews): void {
    const { ledger } = this;
    switch (item.type) {
      case 'configure':
        this.#configure(item.settings);
        break;
      case 'removed':
        this.#removed = true;
        this.#review = true;
        break;
      case 'control':
        this.#mode = item.mode;
        this.#review = true;
        break;
      case 'places':
        this.#places.answer(item.places);
        break;
      case 'job':
        ledger.job(item.job, Date.now());
        break;
      case 'busy':
        ledger.busy(item.runner, item.job);
        break;
      case 'gone':
        // Its workflow can't have vanished before it was started; and once it is, it must be counted.
        if (item.outcome.reason === 'vanished' && this.#underWay.includes(item.outcome.runner)) break;
        ledger.gone(item.outcome, Date.now());
        break;
      default:
        item satisfies never;
    }
  }

  /** Nothing is left to do for a group that was removed. */
  get done(): boolean {
    if (!this.#removed || this.ledger.size > 0 || this.ledger.toMove(1).length > 0) return false;
    return this.#places.backends().every((backend) => this.#places.released(backend));
  }

  mayRetire(runner: string): boolean {
    return this.ledger.mayRetire(runner, this.#limits());
  }

  /** Everything that is counted, by name, for the health check; less those whose workflows needn't be there yet. */
  roster(): Roster {
    const { slots, waiting } = this.ledger.roster();
    return { slots: slots.filter(({ runner }) => !this.#underWay.includes(runner)), waiting };
  }

  /**
   * Starts what is missing, as far as there are places.
   *
   * @param enough whether to leave the rest for later: news that come without a pause give it ever more to do
   */
  async start(enough: () => boolean): Promise<void> {
    const { ledger } = this;
    while (!enough()) {
      const { settings } = this;
      const count = Math.min(this.#startable(), START_CHUNK);
      if (count === 0) return;
      const runners = Array.from({ length: count }, () => runnerName(settings.manager, settings.name, uuid4()));
      // Counted before they are started: whatever happens meanwhile, max holds.
      ledger.started(runners, Date.now());
      this.#places.use(settings.backend, count);
      this.#underWay = runners;
      await startRunners({ settings, runners });
      this.#underWay = [];
    }
  }

  /** Asks runners to go that nobody needs any more. */
  async retire(enough: () => boolean): Promise<void> {
    while (this.#review && !enough()) {
      this.#review = false;
      if (this.#mode === 'paused' && !this.#removed) return;
      const runners = this.ledger.surplus(this.#limits(), Date.now());
      for (let from = 0; from < runners.length; from += MOVE_CHUNK) {
        await retireRunners({ group: this.settings.name, runners: runners.slice(from, from + MOVE_CHUNK) });
      }
    }
  }

  /** Tells the keepers of capped backends how many runners there are, and for whom places are wanted. */
  async settle(enough: () => boolean): Promise<void> {
    while (!enough()) {
      const statement = this.#statement();
      if (statement === undefined) return;
      await statePlaces(statement);
    }
  }

  /** Hands the waiting jobs of a group that was removed to those that serve them now. */
  async move(enough: () => boolean): Promise<void> {
    while (this.#removed && !enough()) {
      const jobs = this.ledger.toMove(MOVE_CHUNK);
      if (jobs.length === 0) return;
      // Before they are moved: a group that is put back meanwhile is given them again.
      this.ledger.forget(jobs);
      await moveJobs({ from: this.settings.name, jobs });
    }
  }

  /** When to look again without any news, milliseconds since the epoch, and why. */
  nextLook(): { at: number; summary: string } | undefined {
    const resume = this.#starting ? this.ledger.resumeAt(this.settings, Date.now()) : undefined;
    if (resume !== undefined) return { at: resume, summary: 'starts held back after failures' };
    const overdue = this.#places.overdueAt();
    return overdue === undefined ? undefined : { at: overdue, summary: 'the backend’s places: ask again after this' };
  }

  snapshot(): DispatcherSnapshot {
    const { settings, ledger } = this;
    const { waiting, oldestSince, busy, ready } = ledger.counts(Date.now());
    const resume = this.#starting ? ledger.resumeAt(settings, Date.now()) : undefined;
    return {
      settings,
      mode: this.#mode,
      removed: this.#removed,
      waiting,
      oldestWaitingSince: oldestSince === undefined ? null : new Date(oldestSince).toISOString(),
      busy,
      ready,
      backoffUntil: resume === undefined ? null : new Date(resume).toISOString(),
      wantsPlaces: settings.backendMax === null ? 0 : this.#places.wanted(),
    };
  }

  get #starting(): boolean {
    return this.#mode === 'active' && !this.#removed;
  }

  #limits(): Limits {
    return this.#removed || this.#mode === 'draining' ? { min: 0, max: 0 } : this.settings;
  }

  #shortage(): number {
    return this.#starting ? this.ledger.shortage(this.settings, Date.now()) : 0;
  }

  #startable(): number {
    const shortage = this.#shortage();
    if (shortage === 0 || this.settings.backendMax === null) return shortage;
    return this.#places.startable(this.settings.backend, shortage);
  }

  #configure(settings: GroupSettings): void {
    const before = this.settings;
    this.settings = settings;
    this.#removed = false;
    if (made(before) !== made(settings)) this.ledger.outdate(before.backend);
    if (JSON.stringify(before) !== JSON.stringify(settings)) this.#review = true;
    if (settings.backendMax === null) this.#places.drop(settings.backend);
    this.#places.restate();
  }

  /** What is to be told to a keeper now. */
  #statement(): PlacesStatement | undefined {
    const { settings, ledger } = this;
    const { name, backend: current, backendMax, priority } = settings;
    const backends = new Set(this.#places.backends());
    if (backendMax !== null) backends.add(current);
    for (const backend of backends) {
      if (backend !== current && this.#places.released(backend)) {
        this.#places.drop(backend);
        continue;
      }
      const have = ledger.have(backend, current);
      const wants = backend === current ? ledger.wants(this.#shortage() - this.#startable()) : [];
      const statement = this.#places.due({ backend, group: name, priority, have, wants }, Date.now());
      if (statement !== undefined) return statement;
    }
    return undefined;
  }
}

/** What a runner is made of: where it differs, runners of before are not what the group promises now. */
function made({ scope, labels, backend, instance, forge }: GroupSettings): string {
  return JSON.stringify([scope, labels, backend, instance, forge]);
}
