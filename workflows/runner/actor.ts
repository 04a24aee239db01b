import {
  ActivityCancellationType,
  ApplicationFailure,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  sleep,
  upsertMemo,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { SearchAttributeUpdatePair } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import { type OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import {
  RESOURCES_MEMO,
  type RunnerEvent,
  type RunnerInput,
  type RunnerInstance,
} from '../../contracts/workflows/runner.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type { InstanceSpec } from '../../contracts/ports/backend.ts';
import { describeResources } from '../../contracts/messages/describe-resources.ts';
import type { Phase, RemovalReason, RunnerOutcome } from '../../contracts/workflows/phase.ts';
import { rootMessage } from '../lib/failure.ts';
import { instanceOf, outcomeOf } from './outcome.ts';
import { PhaseLog, type PhaseLogState } from './phase-log.ts';
import { runnerDetails } from './details.ts';
import { Facts, type FactsState } from './facts.ts';
import { jobAttributes } from './job-attributes.ts';
import { InstanceTags, type TagsState } from './tags.ts';
import { useOf, type Bought } from './use.ts';

/** A worker that was not heard of for so long is dead, and another one does its work. Activities beat every 3 s. */
const HEARTBEAT_TIMEOUT = '20 s';
/** How long a removal waits before it asks the forge again about a registration that is said to be busy; doubled each time. */
const BUSY_AGAIN_MS = { first: 2000, most: 60_000 };
/** A registration ordered just before the end may still be on its way to the forge. */
const LATE_REGISTRATION_MS = 15_000;
/** More asks for a registration than this are not lost answers. */
const GRANTS_AT_MOST = 5;

const local = proxyLocalActivities<Pick<OrchestratorActivities, 'reportGone' | 'requestRetirement'>>({
  startToCloseTimeout: '20 s',
  retry: { initialInterval: '500 ms', maximumInterval: '30 s' },
});

const forge = proxyActivities<Pick<OrchestratorActivities, 'removeRegistration'>>({
  taskQueue: TASK_QUEUE.orchestrator,
  startToCloseTimeout: '5 min',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: { initialInterval: '1 s', maximumInterval: '1 min' },
  summary: 'remove the registration from the forge',
});

/** What continue-as-new carries over. */
export interface RunnerState {
  facts: FactsState;
  createdAt: string;
  phases: PhaseLogState;
  instanceId: string | undefined;
  bought?: Bought | undefined;
  /** Absent where the backend can't tag. */
  tags?: TagsState | undefined;
  grants: number;
  retireAsked: boolean;
}

/** A runner's own deeds: each is an activity, or a change of what people see of it. */
export class RunnerActor {
  readonly input: RunnerInput;
  readonly facts: Facts;
  readonly #createdAt: Date;
  readonly #startsBy: Date;
  readonly #endsBy: Date;
  /** Entered, not derived from facts: once removal begins there is no way back. */
  #end: 'removing' | 'gone' | 'failed' | undefined;
  readonly #phases: PhaseLog;
  #shownPhase: Phase = 'provisioning';
  #shownJob: string | undefined;
  #reason: RemovalReason | undefined;
  #note: string | undefined;
  #instanceId: string | undefined;
  /** As what the instance is paid for, and since when. */
  #bought: Bought | undefined;
  /** Where the backend can tag its instances. */
  #tags: InstanceTags | undefined;
  /** Why the instance could not be created. */
  #problem: string | undefined;
  #unregistered = false;
  /** Its group needs it no longer, and it has not answered to that yet. */
  #retireAsked = false;
  #grants: number;
  /** Activities under way. */
  #calls = 0;

  /** @param startedAt when the workflow started: both timers count from then */
  constructor(input: RunnerInput, startedAt: Date, carried?: RunnerState) {
    this.input = input;
    this.facts = new Facts(carried?.facts);
    this.#createdAt = carried ? new Date(carried.createdAt) : startedAt;
    this.#phases = new PhaseLog(this.#createdAt.getTime(), carried?.phases);
    this.#startsBy = new Date(this.#createdAt.getTime() + input.settings.timeToStartMs);
    this.#endsBy = new Date(this.#createdAt.getTime() + input.settings.timeToLiveMs);
    this.#instanceId = carried?.instanceId;
    this.#bought = carried?.bought;
    if (carried?.tags) this.#tags = this.#makeTags(carried.tags);
    this.#grants = carried?.grants ?? 0;
    this.#retireAsked = carried?.retireAsked ?? false;
  }

  toState(): RunnerState {
    return {
      facts: this.facts.toState(),
      createdAt: this.#createdAt.toISOString(),
      phases: this.#phases.toState(),
      instanceId: this.#instanceId,
      bought: this.#bought,
      tags: this.#tags?.toState(),
      grants: this.#grants,
      retireAsked: this.#retireAsked,
    };
  }

  /** Takes news in and shows what it changes. */
  hear(items: readonly RunnerEvent[]): void {
    if (items.some(({ type }) => type === 'retire')) this.#retireAsked = true;
    const { resources, interrupted } = this.facts;
    if (!this.facts.learn(items)) return;
    if (this.facts.interrupted !== undefined && interrupted === undefined && this.#end === undefined) {
      this.#note = 'the cloud takes its instance back';
    }
    // Once in a life, and only where its group records it.
    if (this.facts.resources !== undefined && resources === undefined) {
      upsertMemo({ [RESOURCES_MEMO]: describeResources(this.facts.resources) });
    }
    this.show();
  }

  /** Whether its job is over: the forge or the agent or the backend says so. */
  over(): boolean {
    return this.ended() || this.facts.forgeCompleted;
  }

  /** Whether its program or its instance has ended. */
  ended(): boolean {
    return this.facts.died !== undefined || this.facts.exited !== undefined;
  }

  get retireAsked(): boolean {
    return this.#retireAsked;
  }

  /** The wish is taken up: why it ends, if it does. */
  answerRetirement(): 'retired' | 'time-to-start' {
    const asked = this.#retireAsked;
    this.#retireAsked = false;
    return asked ? 'retired' : 'time-to-start';
  }

  /** Whether nothing is under way: a point at which the history may begin anew. */
  quiet(): boolean {
    return this.#calls === 0;
  }

  /** What became of its instance, for those who ask. */
  instance(): RunnerInstance {
    return instanceOf(this.input.runner, this.facts, this.#instanceId, this.#reason, this.#problem);
  }

  timeToStartLeft(): number {
    return Math.max(1, this.#startsBy.getTime() - Date.now());
  }

  timeToLiveLeft(): number {
    return Math.max(1, this.#endsBy.getTime() - Date.now());
  }

  /** The gate: passed once a runner (and again for a lost answer), only before it has come online. */
  assertMayRegister(): void {
    const ready = !this.facts.online && !this.facts.started && !this.#unregistered;
    const open = ready && !this.over() && this.#end === undefined;
    if (open && this.#grants < GRANTS_AT_MOST) return;
    throw ApplicationFailure.nonRetryable(
      `runner ${this.input.runner} may not register: it is ${this.#phase()}${open ? ' and asked too often' : ''}`,
      'REGISTRATION_REFUSED',
    );
  }

  grant(): void {
    this.#grants += 1;
    this.facts.granted = true;
    this.show();
  }

  /** Makes the instance; false where that failed for good, with the reason in the details. */
  async create(): Promise<boolean> {
    if (this.#instanceId !== undefined) return true;
    const { settings, runner } = this.input;
    const spec: InstanceSpec = {
      ...settings.instance,
      installation: settings.installation,
      group: settings.name,
      runner,
      expiresAt: this.#endsBy.toISOString(),
    };
    const { createInstance } = proxyActivities<Pick<BackendActivities, 'createInstance'>>({
      taskQueue: TASK_QUEUE.backend(settings.backend),
      // Retried until time-to-start is up: a backend that is away for a while costs time, not the runner.
      scheduleToCloseTimeout: settings.timeToStartMs,
      startToCloseTimeout: '10 min',
      heartbeatTimeout: HEARTBEAT_TIMEOUT,
      retry: { initialInterval: '1 s', maximumInterval: '30 s' },
      // A removal must not overtake a creation that is still under way.
      cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
      summary: `create instance ${runner}`,
    });
    try {
      const { instanceId, machine, market, taggable } = await this.#call(() => createInstance(spec));
      this.#instanceId = instanceId;
      this.#bought = { machine, market, from: new Date().toISOString() };
      if (taggable) this.#tags = this.#makeTags();
      this.show();
      return true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      this.#problem = rootMessage(error);
      return false;
    }
  }

  /** Whether the group has more idle runners than it keeps warm. */
  async mayRetire(): Promise<boolean> {
    const { settings, runner } = this.input;
    return (await this.#call(() => local.requestRetirement({ group: settings.name, runner }))) === 'retire';
  }

  /** Removes the registration, unless the forge says that a job runs: then false. */
  async forgeConsents(): Promise<boolean> {
    if (!this.facts.granted) return true;
    const { settings, runner } = this.input;
    const result = await this.#call(() => forge.removeRegistration({ scope: settings.scope, runner }));
    this.#unregistered = result !== 'busy';
    return this.#unregistered;
  }

  /** Removes all that belongs to this runner, retrying for as long as it takes; then tells the dispatcher. */
  async remove(reason: RemovalReason): Promise<RunnerOutcome> {
    this.#end = 'removing';
    this.#tags?.close();
    this.#reason = reason;
    this.note(outcomeOf(this.input.runner, reason, this.facts, this.#problem).detail);
    await Promise.all([this.#removeInstance(), this.#removeRegistration()]);
    const outcome = outcomeOf(this.input.runner, reason, this.facts, this.#problem);
    const { settings, runner } = this.input;
    const use = this.#bought && useOf(settings, runner, this.#bought, this.facts);
    const { backend } = settings;
    const life = { backend, phases: this.#phases.toState(), until: Date.now(), jobId: this.facts.job?.jobId };
    await local.reportGone({ group: settings.name, outcome, use, life });
    this.#end = outcome.failed ? 'failed' : 'gone';
    this.note(outcome.detail);
    return outcome;
  }

  /** What people read beside the phase. */
  note(note: string): void {
    this.#note = note;
    this.show();
  }

  /** Brings search attributes (an event each time they change) and current details (none) up to date. */
  show(): void {
    const phase = this.#phase();
    const updates: SearchAttributeUpdatePair[] = [];
    if (phase !== this.#shownPhase) updates.push({ key: SEARCH_ATTRIBUTES.phase, value: phase });
    const { job, hookJob } = this.facts;
    const shown = job ? String(job.jobId) : hookJob?.repository;
    if (shown !== undefined && shown !== this.#shownJob) updates.push(...jobAttributes(this.facts));
    if (updates.length > 0) upsertSearchAttributes(updates);
    this.#shownPhase = phase;
    this.#shownJob = shown;
    this.#phases.enter(phase, Date.now());
    setCurrentDetails(
      runnerDetails(this.input, this.facts, {
        phase,
        note: this.#note,
        instanceId: this.#instanceId,
        tagsProblem: this.#tags?.problem,
        timeToStartEnds: this.#startsBy,
        timeToLiveEnds: this.#endsBy,
      }),
    );
    this.#tags?.tell(phase, this.facts);
  }

  #makeTags(carried?: TagsState): InstanceTags {
    const { runner, settings } = this.input;
    return new InstanceTags(runner, settings.backend, () => this.show(), carried);
  }

  #phase(): Phase {
    if (this.#end !== undefined) return this.#end;
    if (this.facts.hookCompleted || this.facts.forgeCompleted) return 'completing';
    if (this.facts.started) return 'busy';
    if (this.facts.online) return 'idle';
    return this.#instanceId === undefined ? 'provisioning' : 'starting';
  }

  async #call<T>(deed: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    try {
      return await deed();
    } finally {
      this.#calls -= 1;
    }
  }

  async #removeInstance(): Promise<void> {
    const { settings, runner } = this.input;
    const { deleteInstance } = proxyActivities<Pick<BackendActivities, 'deleteInstance'>>({
      taskQueue: TASK_QUEUE.backend(settings.backend),
      startToCloseTimeout: '10 min',
      heartbeatTimeout: HEARTBEAT_TIMEOUT,
      retry: { initialInterval: '1 s', maximumInterval: '1 min' },
      summary: `delete instance ${runner}`,
    });
    await deleteInstance({ runner });
  }

  async #removeRegistration(): Promise<void> {
    // Without a grant there can be none. An ephemeral registration ends with its job, but only the forge can say so.
    if (!this.facts.granted || this.#unregistered) return;
    const { settings, runner } = this.input;
    if (!this.facts.online && !this.facts.started) {
      await sleep(LATE_REGISTRATION_MS, { summary: 'a registration may still be on its way' });
    }
    for (let pause = BUSY_AGAIN_MS.first; ; pause = Math.min(pause * 2, BUSY_AGAIN_MS.most)) {
      const result = await forge.removeRegistration({ scope: settings.scope, runner });
      if (result !== 'busy') return;
      this.note('the forge still counts it as busy: its registration is removed as soon as it lets go');
      await sleep(pause, { summary: 'registration is busy: ask again' });
    }
  }
}
