import { ApplicationFailure, condition, upsertMemo } from '@temporalio/workflow';
import {
  RESOURCES_MEMO,
  type RunnerEvent,
  type RunnerInput,
  type RunnerInstance,
} from '../../contracts/workflows/runner.ts';
import type { RunnerLife } from '../../contracts/workflows/runner-life.ts';
import type { RunnerSlot } from '../../contracts/workflows/takeover.ts';
import { describeResources } from '../../contracts/messages/describe-resources.ts';
import type { Phase, RemovalReason, RunnerOutcome } from '../../contracts/workflows/phase.ts';
import { local } from '../lib/local-activities.ts';
import { requestRetirement } from './activities.ts';
import { InstanceCreation, type CreationState } from './instance-creation.ts';
import { toRunnerInstance, toOutcome } from './outcome.ts';
import { PhaseLog, type PhaseLogState } from './phase-log.ts';
import { Facts, type FactsState } from './facts.ts';
import { InstanceTags, type TagsState } from './tags.ts';
import { RunnerRegistration, type RegistrationAnswer } from './registration.ts';
import { RunnerRemoval, type RemovalState } from './removal.ts';
import { Renewal } from './renewal.ts';
import { toRunnerSlot } from './slot.ts';
import { RunnerView } from './view.ts';

/** What continue-as-new carries over. */
export interface RunnerState extends CreationState {
  facts: FactsState;
  createdAt: string;
  phases: PhaseLogState;
  /** Absent where the backend can't tag. */
  tags?: TagsState | undefined;
  retireAsked: boolean;
  /** Set once its removal has begun. */
  removal?: RemovalState | undefined;
}

/** A runner's state, the events that change it, and the activities that create and remove it. */
export class RunnerActor {
  readonly input: RunnerInput;
  readonly facts: Facts;
  readonly #createdAt: Date;
  readonly #startsBy: Date;
  readonly #endsBy: Date;
  /** Set by the removal, not derived from facts: once removal begins, it runs to the end. */
  #end: 'removing' | 'lingering' | 'gone' | 'failed' | undefined;
  #removal: RunnerRemoval | undefined;
  readonly #phases: PhaseLog;
  readonly #view: RunnerView;
  #note: string | undefined;
  readonly #creation: InstanceCreation;
  /** Set where the backend can tag its instances. */
  #tags: InstanceTags | undefined;
  readonly #registration: RunnerRegistration;
  readonly renewal: Renewal;
  /** Its group asked it to retire, and it has not decided yet. */
  #retireAsked = false;
  /** The group knows that it serves no job any more. */
  #isLeaving: boolean;
  /** How many activities are running. */
  #activitiesRunning = 0;

  /** @param startedAt when the workflow started: both timers count from then */
  constructor(input: RunnerInput, startedAt: Date, carried?: RunnerState) {
    this.input = input;
    this.facts = new Facts(carried?.facts);
    this.#registration = new RunnerRegistration(input, this.facts);
    this.#createdAt = carried ? new Date(carried.createdAt) : startedAt;
    this.renewal = new Renewal(input, this.#createdAt);
    this.#view = new RunnerView(input);
    this.#phases = new PhaseLog(this.#createdAt.getTime(), carried?.phases);
    this.#startsBy = new Date(this.#createdAt.getTime() + input.settings.timeToStartMs);
    this.#endsBy = new Date(this.#createdAt.getTime() + input.settings.timeToLiveMs);
    this.#creation = new InstanceCreation(input, this.facts, carried);
    if (carried?.tags) this.#tags = this.#makeTags(carried.tags);
    this.#retireAsked = carried?.retireAsked ?? false;
    this.#isLeaving = carried?.removal !== undefined;
    if (carried?.removal) {
      this.#removal = this.#makeRemoval(carried.removal);
      this.#end = carried.removal.instanceGone ? 'lingering' : 'removing';
    }
  }

  toState(): RunnerState {
    return {
      facts: this.facts.toState(),
      createdAt: this.#createdAt.toISOString(),
      phases: this.#phases.toState(),
      ...this.#creation.toState(),
      tags: this.#tags?.toState(),
      retireAsked: this.#retireAsked,
      removal: this.#removal?.toState(),
    };
  }

  /** Applies a batch of events and shows what they changed. */
  apply(events: readonly RunnerEvent[]): void {
    if (events.some(({ type }) => type === 'retire')) this.#retireAsked = true;
    const { resources, interrupted } = this.facts;
    if (!this.facts.apply(events)) return;
    if (this.facts.interrupted !== undefined && interrupted === undefined && this.#end === undefined) {
      this.#note = 'the cloud is reclaiming its instance';
    }
    // At most once, and only where the group records what jobs use.
    if (this.facts.resources !== undefined && resources === undefined) {
      upsertMemo({ [RESOURCES_MEMO]: describeResources(this.facts.resources) });
    }
    if (!this.#isRemovedNext()) this.updateView();
  }

  /** Whether its removal follows in this workflow task: that shows everything at once, in one event of the history. */
  #isRemovedNext(): boolean {
    const { died, exited, forgeCompleted } = this.facts;
    const isOver = died !== undefined || (exited !== undefined && forgeCompleted);
    return isOver && this.#end === undefined && this.#creation.instanceId !== undefined && this.isQuiet();
  }

  /** Whether no job can run on it any more: its program or instance ended, or the forge says that its job is complete. */
  isFinished(): boolean {
    return this.hasEnded() || this.facts.forgeCompleted;
  }

  /** Whether its runner program or its instance has ended. */
  hasEnded(): boolean {
    return this.facts.died !== undefined || this.facts.exited !== undefined;
  }

  get retireAsked(): boolean {
    return this.#retireAsked;
  }

  /** Answers the request to retire, if there is one. @returns the reason for the removal that may follow */
  takeRetirementReason(): 'retired' | 'renewed' | 'time-to-start' {
    const asked = this.#retireAsked;
    this.#retireAsked = false;
    if (asked) return 'retired';
    return this.facts.online && this.renewal.isDue() ? 'renewed' : 'time-to-start';
  }

  /** Whether no activity is running, so that the workflow may continue as new. */
  isQuiet(): boolean {
    return this.#activitiesRunning === 0;
  }

  /** Its instance, as others may query it. */
  describeInstance(): RunnerInstance {
    return toRunnerInstance(this.input.runner, this.facts, this.#creation.instanceId, this.#removal?.reason);
  }

  /** What a dispatcher that takes over has to count. */
  describeSlot(fingerprint: string): RunnerSlot {
    const held = this.#removal?.holdsSlot ?? true;
    const own = { held, since: this.#createdAt.getTime(), leaving: this.#isLeaving };
    return toRunnerSlot(this.facts, this.input.settings, fingerprint, own);
  }

  timeToStartLeft(): number {
    return Math.max(1, this.#startsBy.getTime() - Date.now());
  }

  timeToLiveLeft(): number {
    return Math.max(1, this.#endsBy.getTime() - Date.now());
  }

  /** Why the runner may not register; undefined where it may: however often it asks, but only before it is online. */
  findRegistrationRefusal(): string | undefined {
    const ready = !this.facts.online && !this.facts.started && !this.#registration.removed;
    if (ready && !this.isFinished() && this.#end === undefined) return undefined;
    return `runner ${this.input.runner} may not register: it is ${this.#phase()}`;
  }

  assertMayRegister(): void {
    const refusal = this.findRegistrationRefusal();
    if (refusal !== undefined) throw ApplicationFailure.nonRetryable(refusal, 'REGISTRATION_REFUSED');
  }

  grantRegistration(): void {
    this.facts.granted = true;
    this.updateView();
  }

  /** Creates the instance; false where that failed for good, with the reason in the details. */
  async createInstance(): Promise<boolean> {
    if (this.#creation.instanceId !== undefined) return true;
    const times = { startBy: this.#startsBy.toISOString(), expiresAt: this.#endsBy.toISOString() };
    const created = await this.#track(() => this.#creation.run(times));
    if (created === undefined) return false;
    if (created.taggable) this.#tags = this.#makeTags();
    this.updateView();
    return true;
  }

  /** Asks the dispatcher whether the group has more idle runners than it needs. */
  async mayRetire(): Promise<boolean> {
    const { settings, runner } = this.input;
    const may = (await this.#track(() => requestRetirement({ group: settings.name, runner }))) === 'retire';
    if (may) this.#isLeaving = true;
    return may;
  }

  /** Tells the dispatcher, unless it knows, that this runner serves no job any more, so that it is replaced at once. */
  async reportLeaving(reason: RemovalReason): Promise<void> {
    if (this.#isLeaving || this.facts.started) return;
    this.#isLeaving = true;
    const { settings, runner } = this.input;
    const { failed } = toOutcome(runner, reason, this.facts);
    await this.#track(() => local.reportLeaving({ group: settings.name, runner, failed }));
  }

  /** Waits for the forge's own webhook after a completed hook. See {@link RunnerRegistration.awaitCompletedWebhook}. */
  awaitCompletedWebhook(): Promise<boolean> {
    return this.#registration.awaitCompletedWebhook();
  }

  /**
   * Asks the forge to remove the registration.
   *
   * @param isOver whether the answer is no longer waited for; the question goes on
   * @param limitMs how long it is waited for, milliseconds. Default: for as long as it takes
   * @returns undefined where there is no answer yet
   */
  async tryUnregister(isOver: () => boolean, limitMs?: number): Promise<RegistrationAnswer | undefined> {
    let answer: RegistrationAnswer | undefined;
    void this.#track(async () => {
      answer = await this.#registration.ask();
    });
    const isKnown = (): boolean => answer !== undefined || isOver();
    if (limitMs === undefined) await condition(isKnown);
    else
      await condition(isKnown, limitMs, {
        summary: 'no job can run on it: the forge’s answer is not waited for any longer',
      });
    if (answer === 'refused')
      this.setNote(`the forge refuses to remove its registration: ${this.#registration.problem}`);
    return answer;
  }

  /**
   * Removes everything that belongs to this runner, for as long as it takes.
   *
   * @returns undefined where the history is full first: the workflow then continues as new, with the removal
   */
  async remove(reason: RemovalReason): Promise<RunnerOutcome | undefined> {
    this.#tags?.close();
    this.#removal ??= this.#makeRemoval({ reason, instanceGone: false });
    return await this.#removal.run();
  }

  /** Sets the text that is shown beside the phase. */
  setNote(note: string): void {
    this.#note = note;
    this.updateView();
  }

  updateView(): void {
    const phase = this.#phase();
    this.#phases.enter(phase, Date.now());
    this.#view.update(this.facts, {
      phase,
      note: this.#note,
      instanceId: this.#creation.instanceId,
      tagsProblem: this.#tags?.problem,
      timeToStartEnds: this.#startsBy,
      timeToLiveEnds: this.#endsBy,
    });
    this.#tags?.request(phase, this.facts);
  }

  #makeTags(carried?: TagsState): InstanceTags {
    const { runner, settings } = this.input;
    return new InstanceTags(runner, settings.backend, () => this.updateView(), carried);
  }

  #phase(): Phase {
    if (this.#end !== undefined) return this.#end;
    if (this.facts.hookCompleted || this.facts.forgeCompleted) return 'completing';
    if (this.facts.started) return 'busy';
    if (this.facts.online) return 'idle';
    return this.#creation.instanceId === undefined ? 'provisioning' : 'starting';
  }

  async #track<T>(activity: () => Promise<T>): Promise<T> {
    this.#activitiesRunning += 1;
    try {
      return await activity();
    } finally {
      this.#activitiesRunning -= 1;
    }
  }

  #makeRemoval(state: RemovalState): RunnerRemoval {
    const life = (): RunnerLife => {
      const { backend } = this.input.settings;
      return { backend, phases: this.#phases.toState(), until: Date.now(), jobId: this.facts.job?.jobId };
    };
    return new RunnerRemoval(
      {
        input: this.input,
        facts: this.facts,
        registration: this.#registration,
        reportLeaving: () => this.reportLeaving(state.reason),
        describe: () => ({ use: this.#creation.toUse(), life: life() }),
        show: (phase, note) => {
          this.#end = phase;
          this.setNote(note);
        },
      },
      state,
    );
  }
}
