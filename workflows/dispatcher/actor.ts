import type { InstanceUse } from '../../contracts/workflows/instance-use.ts';
import type { DispatcherEvent, DispatcherSnapshot, GroupMode, Roster } from '../../contracts/workflows/dispatcher.ts';
import type { SlotRequest } from '../../contracts/workflows/capacity.ts';
import { runnerFingerprint, type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import type { AdoptedRunner, Takeover } from '../../contracts/workflows/takeover.ts';
import { moveJobs, requestSlots, retireRunners } from './activities.ts';
import { Pace, type PaceState } from './pace.ts';
import { DemandTracker, type DemandState, type GroupLimits } from './demand-tracker.ts';
import { RunnerStarts } from './runner-starts.ts';
import { SlotTracker, type SlotsState } from './slots.ts';
import { UseOutbox } from './use-outbox.ts';

/** Jobs named in one activity. */
const MOVE_CHUNK = 200;
/** So many runners are asked to retire at a time, so far apart: nobody waits for that, and hundreds at once would slow starts down. */
const RETIRE_CHUNK = 10;
const RETIRE_INTERVAL_MS = 2000;

/** What continue-as-new carries over. */
export interface DispatcherState {
  demand: DemandState;
  slots: SlotsState;
  mode: GroupMode;
  removed: boolean;
  review: boolean;
  /** Not recorded yet. */
  uses: InstanceUse[];
  pace: PaceState;
  /** Counted as runners, but perhaps not started yet. */
  starting: readonly string[];
}

/** A dispatcher's state, the events that change it, and the activities that follow from it. */
export class DispatcherActor {
  settings: GroupSettings;
  readonly demand: DemandTracker;
  readonly #slots: SlotTracker;
  readonly #uses: UseOutbox;
  readonly #pace: Pace;
  #mode: GroupMode;
  #removed: boolean;
  /** Something changed: some runners may no longer be needed. */
  #review: boolean;
  /** When the next surplus runners are asked, milliseconds since the epoch. */
  #retireAt = 0;
  readonly #starts: RunnerStarts;

  constructor(settings: GroupSettings, carried?: DispatcherState) {
    this.settings = settings;
    this.demand = new DemandTracker(carried?.demand);
    this.#slots = new SlotTracker(carried?.slots);
    this.#uses = new UseOutbox(carried?.uses);
    this.#pace = new Pace(carried?.pace);
    const group = { demand: this.demand, slots: this.#slots, pace: this.#pace };
    this.#starts = new RunnerStarts(
      { ...group, getSettings: () => this.settings, countStartable: () => this.#countStartable() },
      carried?.starting,
    );
    this.#mode = carried?.mode ?? 'active';
    this.#removed = carried?.removed ?? false;
    this.#review = carried?.review ?? false;
  }

  toState(): DispatcherState {
    return {
      demand: this.demand.toState(),
      slots: this.#slots.toState(),
      mode: this.#mode,
      removed: this.#removed,
      review: this.#review,
      uses: this.#uses.toState(),
      pace: this.#pace.toState(),
      starting: this.#starts.unstarted,
    };
  }

  /**
   * The same group with what an earlier dispatcher left.
   *
   * @param events applied already, but not to the earlier dispatcher's state
   */
  takeOver({ state, runners }: Takeover, events: readonly DispatcherEvent[]): DispatcherActor {
    const { settings } = this;
    const next = new DispatcherActor(settings, isDispatcherState(state) ? state : undefined);
    next.#adopt(runners);
    // The newest settings are known: earlier ones would only make runners look outdated.
    for (const event of events) next.apply(event.type === 'configure' ? { ...event, settings } : event);
    return next;
  }

  apply(event: DispatcherEvent): void {
    const { demand } = this;
    switch (event.type) {
      case 'configure':
        this.#configure(event.settings);
        break;
      case 'removed':
        this.#removed = true;
        this.#review = true;
        break;
      case 'control':
        this.#mode = event.mode;
        this.#review = true;
        if (event.mode === 'active') demand.retryPassedOver(Date.now());
        break;
      case 'slots':
        this.#slots.applyGrant(event.grant);
        break;
      case 'job':
        demand.applyJob(event.job, Date.now());
        break;
      case 'busy':
        demand.markBusy(event.runner, event.job);
        break;
      case 'leaving':
        demand.markLeaving(event.runner, event.failed, Date.now());
        break;
      case 'gone':
        if (event.use !== undefined) this.#uses.add(event.use);
        // A runner that is still being started has no workflow yet: that does not mean that it vanished.
        if (event.outcome.reason === 'vanished' && this.#starts.unstarted.includes(event.outcome.runner)) break;
        demand.removeRunner(event.outcome, Date.now());
        break;
      default:
        event satisfies never;
    }
  }

  /** Whether nothing is left to do for a group that was removed. */
  get isDone(): boolean {
    if (!this.#removed || this.#uses.size > 0) return false;
    if (this.demand.size > 0 || this.demand.listForMove(1, Date.now()).length > 0) return false;
    return this.#slots.backends().every((backend) => this.#slots.isReleased(backend));
  }

  /** Which of these runners may retire. */
  listRetirable(runners: readonly string[]): string[] {
    return runners.filter((runner) => this.demand.mayRetire(runner, this.#limits(), Date.now()));
  }

  /** Records in the background what ended instances were used for. */
  async recordUses(): Promise<void> {
    await this.#uses.run(() => this.#removed);
  }

  /** Everything that is counted, by name, for the health check; without runners whose workflows may not exist yet. */
  toRoster(): Roster {
    const { slots, waiting } = this.demand.toRoster(Date.now());
    return { slots: slots.filter(({ runner }) => !this.#starts.unstarted.includes(runner)), waiting };
  }

  /** Starts the missing runners. See {@link RunnerStarts.run}. */
  async startRunners(enough: () => boolean): Promise<void> {
    await this.#starts.run(enough);
  }

  /** Asks the runners that the group no longer needs to retire, some at a time. */
  async retireRunners(enough: () => boolean): Promise<void> {
    if (!this.#review || enough() || Date.now() < this.#retireAt) return;
    const paused = this.#mode === 'paused' && !this.#removed;
    const runners = paused ? [] : this.demand.takeSurplus(this.#limits(), Date.now(), RETIRE_CHUNK);
    // Before the activity: an event that arrives meanwhile may want another review.
    this.#review = runners.length === RETIRE_CHUNK;
    if (runners.length === 0) return;
    this.#retireAt = Date.now() + RETIRE_INTERVAL_MS;
    await retireRunners({ group: this.settings.name, runners });
  }

  /** Sends capped backends' capacity workflows how many runners exist and how many slots are wanted. */
  async requestSlots(enough: () => boolean): Promise<void> {
    while (!enough()) {
      const request = this.#takeDueRequest();
      if (request === undefined) return;
      await requestSlots(request);
    }
  }

  /** Moves the waiting jobs of a removed group to the groups that serve them now. */
  async moveJobs(enough: () => boolean): Promise<void> {
    while (this.#removed && !enough()) {
      const jobs = this.demand.listForMove(MOVE_CHUNK, Date.now());
      if (jobs.length === 0) return;
      // Forgotten before they are moved: a group that is added again meanwhile receives them anew.
      this.demand.forget(jobs);
      await moveJobs({ from: this.settings.name, jobs });
    }
  }

  /** When to act without a signal (milliseconds since the epoch), and why. */
  findNextWakeUp(): { at: number; summary: string } | undefined {
    const now = Date.now();
    const wakeUps = [
      {
        at: this.#starting ? this.demand.resumeAt(this.settings, now) : undefined,
        summary: 'starts are paused after failures',
      },
      {
        at: this.#countHeldBack() > 0 ? this.#pace.holdsUntil(now) : undefined,
        summary: 'starts are held back by the forge’s limits',
      },
      {
        at: this.#starting ? this.demand.countPassedOver(now).nextAt : undefined,
        summary: 'counts a job again that runners passed over',
      },
      { at: this.#review ? this.#retireAt : undefined, summary: 'asks the next surplus runners to retire' },
      { at: this.#slots.findOverdueAt(), summary: 'sends the slot request again' },
    ];
    return wakeUps.flatMap(({ at, summary }) => (at === undefined ? [] : [{ at, summary }])).sort(byTime)[0];
  }

  toSnapshot(): DispatcherSnapshot {
    const { settings, demand } = this;
    const { waiting, oldestSince, busy, ready, leaving } = demand.countRunners(Date.now());
    const resume = this.#starting ? demand.resumeAt(settings, Date.now()) : undefined;
    const { jobs, nextAt } = demand.countPassedOver(Date.now());
    return {
      settings,
      mode: this.#mode,
      removed: this.#removed,
      waiting: waiting + jobs,
      passedOver: nextAt === undefined ? null : { jobs, nextTryAt: new Date(nextAt).toISOString() },
      oldestWaitingSince: oldestSince === undefined ? null : new Date(oldestSince).toISOString(),
      busy,
      ready,
      leaving,
      backoffUntil: resume === undefined ? null : new Date(resume).toISOString(),
      pace: this.#pace.view(this.#countHeldBack(), Date.now()),
      wantedSlots: settings.backendMax === null ? 0 : this.#slots.countWanted(),
    };
  }

  get #starting(): boolean {
    return this.#mode === 'active' && !this.#removed;
  }

  #limits(): GroupLimits {
    return this.#removed || this.#mode === 'draining' ? { min: 0, max: 0 } : this.settings;
  }

  /** None while starts are held back: neither activities nor slots are asked for before they can be used. */
  #countShortage(): number {
    const now = Date.now();
    if (!this.#starting || this.#pace.holdsUntil(now) !== undefined) return 0;
    return this.demand.countShortage(this.settings, now);
  }

  #countHeldBack(): number {
    const now = Date.now();
    if (!this.#starting || this.#pace.holdsUntil(now) === undefined) return 0;
    return this.demand.countShortage(this.settings, now);
  }

  #countStartable(): number {
    const shortage = this.#countShortage();
    if (shortage === 0 || this.settings.backendMax === null) return shortage;
    return this.#slots.countStartable(this.settings.backend, shortage);
  }

  /** Counts the runners that exist, and those that an earlier dispatcher was about to start. */
  #adopt(runners: readonly AdoptedRunner[]): void {
    const { backend } = this.settings;
    const running = new Set(runners.map(({ runner }) => runner));
    this.#starts.confirm(running);
    const unknown = { held: true, busy: false, leaving: false, outdated: false, job: null, run: null };
    const starting = this.#starts.unstarted.map((runner) => ({ ...unknown, runner, since: Date.now(), backend }));
    this.demand.adopt([...runners, ...starting]);
    this.#slots.requestAgain();
    this.#review = true;
  }

  #configure(settings: GroupSettings): void {
    const before = this.settings;
    this.settings = settings;
    this.#removed = false;
    if (runnerFingerprint(before) !== runnerFingerprint(settings)) {
      this.demand.markOutdated(before.backend);
      this.#pace.clear();
    }
    if (JSON.stringify(before) !== JSON.stringify(settings)) {
      this.#review = true;
      this.demand.retryPassedOver(Date.now());
    }
    if (settings.backendMax === null) this.#slots.drop(settings.backend);
    this.#slots.requestAgain();
  }

  /** The slot request to send now. */
  #takeDueRequest(): SlotRequest | undefined {
    const { settings, demand } = this;
    const { name, backend: current, backendMax, priority } = settings;
    const backends = new Set(this.#slots.backends());
    if (backendMax !== null) backends.add(current);
    for (const backend of backends) {
      if (backend !== current && this.#slots.isReleased(backend)) {
        this.#slots.drop(backend);
        continue;
      }
      const held = demand.countRunnersOn(backend, current);
      const wanted =
        backend === current ? demand.listUnservedSince(this.#countShortage() - this.#countStartable(), Date.now()) : [];
      const request = this.#slots.takeDueRequest({ backend, group: name, priority, held, wanted }, Date.now());
      if (request !== undefined) return request;
    }
    return undefined;
  }
}

function byTime(a: { at: number }, b: { at: number }): number {
  return a.at - b.at;
}

/** Whether the query of an earlier dispatcher was answered: by the same code as this. */
function isDispatcherState(state: unknown): state is DispatcherState {
  return typeof state === 'object' && state !== null && 'demand' in state && 'starting' in state;
}
