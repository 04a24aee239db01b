import { ApplicationFailure, isCancellation, upsertMemo } from '@temporalio/workflow';
import {
  RESOURCES_MEMO,
  type RunnerEvent,
  type RunnerInput,
  type RunnerInstance,
} from '../../contracts/workflows/runner.ts';
import type { InstanceSpec } from '../../contracts/ports/backend.ts';
import { describeResources } from '../../contracts/messages/describe-resources.ts';
import type { Phase, RemovalReason, RunnerOutcome } from '../../contracts/workflows/phase.ts';
import { findRootMessage } from '../lib/failure.ts';
import { local } from '../lib/local-activities.ts';
import { proxyCreateInstance, proxyDeleteInstance, recordOwnUse, requestRetirement } from './activities.ts';
import { toRunnerInstance, toOutcome } from './outcome.ts';
import { PhaseLog, type PhaseLogState } from './phase-log.ts';
import { Facts, type FactsState } from './facts.ts';
import { InstanceTags, type TagsState } from './tags.ts';
import { toInstanceUse, type Purchase } from './instance-use.ts';
import { RunnerRegistration } from './registration.ts';
import { RunnerView } from './view.ts';

/** What continue-as-new carries over. */
export interface RunnerState {
  facts: FactsState;
  createdAt: string;
  phases: PhaseLogState;
  instanceId: string | undefined;
  purchase?: Purchase | undefined;
  /** Absent where the backend can't tag. */
  tags?: TagsState | undefined;
  retireAsked: boolean;
}

/** A runner's state, the events that change it, and the activities that create and remove it. */
export class RunnerActor {
  readonly input: RunnerInput;
  readonly facts: Facts;
  readonly #createdAt: Date;
  readonly #startsBy: Date;
  readonly #endsBy: Date;
  /** Set by the removal, not derived from facts: once removal begins, it runs to the end. */
  #end: 'removing' | 'gone' | 'failed' | undefined;
  readonly #phases: PhaseLog;
  readonly #view: RunnerView;
  #reason: RemovalReason | undefined;
  #note: string | undefined;
  #instanceId: string | undefined;
  /** What the instance is billed as, and since when. */
  #purchase: Purchase | undefined;
  /** Set where the backend can tag its instances. */
  #tags: InstanceTags | undefined;
  /** Why the instance could not be created. */
  #createProblem: string | undefined;
  readonly #registration: RunnerRegistration;
  /** Its group asked it to retire, and it has not decided yet. */
  #retireAsked = false;
  /** How many activities are running. */
  #activitiesRunning = 0;

  /** @param startedAt when the workflow started: both timers count from then */
  constructor(input: RunnerInput, startedAt: Date, carried?: RunnerState) {
    this.input = input;
    this.facts = new Facts(carried?.facts);
    this.#registration = new RunnerRegistration(input, this.facts);
    this.#createdAt = carried ? new Date(carried.createdAt) : startedAt;
    this.#view = new RunnerView(input);
    this.#phases = new PhaseLog(this.#createdAt.getTime(), carried?.phases);
    this.#startsBy = new Date(this.#createdAt.getTime() + input.settings.timeToStartMs);
    this.#endsBy = new Date(this.#createdAt.getTime() + input.settings.timeToLiveMs);
    this.#instanceId = carried?.instanceId;
    this.#purchase = carried?.purchase;
    if (carried?.tags) this.#tags = this.#makeTags(carried.tags);
    this.#retireAsked = carried?.retireAsked ?? false;
  }

  toState(): RunnerState {
    return {
      facts: this.facts.toState(),
      createdAt: this.#createdAt.toISOString(),
      phases: this.#phases.toState(),
      instanceId: this.#instanceId,
      purchase: this.#purchase,
      tags: this.#tags?.toState(),
      retireAsked: this.#retireAsked,
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
    return isOver && this.#end === undefined && this.#instanceId !== undefined && this.isQuiet();
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
  takeRetirementReason(): 'retired' | 'time-to-start' {
    const asked = this.#retireAsked;
    this.#retireAsked = false;
    return asked ? 'retired' : 'time-to-start';
  }

  /** Whether no activity is running, so that the workflow may continue as new. */
  isQuiet(): boolean {
    return this.#activitiesRunning === 0;
  }

  /** Its instance, as others may query it. */
  describeInstance(): RunnerInstance {
    return toRunnerInstance(this.input.runner, this.facts, this.#instanceId, this.#reason, this.#createProblem);
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
    if (this.#instanceId !== undefined) return true;
    const { settings, runner } = this.input;
    const spec: InstanceSpec = {
      ...settings.instance,
      installation: settings.installation,
      group: settings.name,
      runner,
      startBy: this.#startsBy.toISOString(),
      expiresAt: this.#endsBy.toISOString(),
    };
    const { createInstance } = proxyCreateInstance(settings, runner);
    try {
      const { instanceId, machine, market, taggable } = await this.#track(() => createInstance(spec));
      this.#instanceId = instanceId;
      this.#purchase = { machine, market, from: new Date().toISOString() };
      if (taggable) this.#tags = this.#makeTags();
      this.updateView();
      return true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.#createProblem = findRootMessage(error);
      return false;
    }
  }

  /** Asks the dispatcher whether the group has more idle runners than it needs. */
  async mayRetire(): Promise<boolean> {
    const { settings, runner } = this.input;
    return (await this.#track(() => requestRetirement({ group: settings.name, runner }))) === 'retire';
  }

  /** Waits for the forge's own webhook after a completed hook. See {@link RunnerRegistration.awaitCompletedWebhook}. */
  awaitCompletedWebhook(): Promise<boolean> {
    return this.#registration.awaitCompletedWebhook();
  }

  /** Removes the registration; false where the forge answers that a job runs on it. */
  async tryUnregister(): Promise<boolean> {
    return await this.#track(() => this.#registration.tryRemove());
  }

  /** Removes everything that belongs to this runner, retrying for as long as it takes; then reports to the dispatcher. */
  async remove(reason: RemovalReason): Promise<RunnerOutcome> {
    this.#end = 'removing';
    this.#tags?.close();
    this.#reason = reason;
    this.setNote(toOutcome(this.input.runner, reason, this.facts, this.#createProblem).detail);
    await Promise.all([this.#removeInstance(), this.#removeRegistration()]);
    const outcome = toOutcome(this.input.runner, reason, this.facts, this.#createProblem);
    const { settings, runner } = this.input;
    const use = this.#purchase && toInstanceUse(settings, runner, this.#purchase, this.facts);
    const { backend } = settings;
    const life = { backend, phases: this.#phases.toState(), until: Date.now(), jobId: this.facts.job?.jobId };
    const reported = await local.reportGone({ group: settings.name, outcome, use, life });
    // Otherwise the dispatcher records it.
    if (reported === 'missing' && use !== undefined) await recordOwnUse({ uses: [use] });
    this.#end = outcome.failed ? 'failed' : 'gone';
    this.setNote(outcome.detail);
    return outcome;
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
      instanceId: this.#instanceId,
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
    return this.#instanceId === undefined ? 'provisioning' : 'starting';
  }

  async #track<T>(activity: () => Promise<T>): Promise<T> {
    this.#activitiesRunning += 1;
    try {
      return await activity();
    } finally {
      this.#activitiesRunning -= 1;
    }
  }

  async #removeInstance(): Promise<void> {
    const { settings, runner } = this.input;
    const { deleteInstance } = proxyDeleteInstance(settings, runner);
    await deleteInstance({ runner });
  }

  async #removeRegistration(): Promise<void> {
    await this.#registration.remove(() =>
      this.setNote('the forge still calls it busy: its registration is removed as soon as the forge allows'),
    );
  }
}
