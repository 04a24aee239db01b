import { proxyActivities, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type {
  DelegationInput,
  DelegationEvent,
  GroupView,
  ProxiesEvent,
} from '../../contracts/workflows/delegation.ts';
import type { RunJob } from '../../contracts/ports/run-control.ts';
import type { DelegationRecord, SignalActivities } from '../../contracts/ports/signal-activities.ts';
import { type RunnerInstance } from '../../contracts/workflows/runner.ts';
import type { AuditEntry } from '../../contracts/messages/audit.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import { historyIsFull } from '../lib/history.ts';
import { local } from '../lib/local-activities.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';
import { renderDelegationDetails, type Step } from './details.ts';
import { ForgeQuestions } from './forge-questions.ts';
import { createPosition, type Position } from './position.ts';
import { DelegationProgress } from './progress.ts';
import { Recorder } from './recorder.ts';
import { RunnerOrder, type RunnerOrderState } from './runner-order.ts';

const MAX_STEPS = 30;
const MAX_DETAIL_LENGTH = 1500;

const { observeGroup } = proxySignalActivities('look whether runners are online');
const { recordDelegation } = proxySignalActivities('record the state and the steps');
const { describeRunner } = proxySignalActivities('ask the runner about its instance');

const { describeEndedRunner } = proxyActivities<Pick<SignalActivities, 'describeEndedRunner'>>({
  taskQueue: TASK_QUEUE.signals,
  startToCloseTimeout: '1 min',
  retry: { initialInterval: '1 s', maximumInterval: '8 s' },
  summary: 'ask the runner how its program exited',
});

/** A {@link DelegationActor} as JSON, for continue-as-new. */
export interface DelegationState {
  job: DelegatedJob;
  /** What is known of the job on the forge. */
  known: RunJob | undefined;
  position: Position;
  refusedSince: number | undefined;
  aside: boolean;
  hint: boolean;
  runnerProblem: string | undefined;
  records: DelegationRecord[];
  order: RunnerOrderState;
  holding: boolean;
  steps: Step[];
}

/** A delegation's state, the events that change it, and its activities. */
export class DelegationActor {
  readonly input: DelegationInput;
  readonly progress: DelegationProgress;
  readonly position: Position;
  readonly forge: ForgeQuestions;
  job: DelegatedJob;
  /** All proxies stepped aside for this delegation. */
  aside: boolean;
  /** The job has probably changed: ask the forge before the timer fires. */
  hint: boolean;
  /** Why no runner of the group is online, as the group's proxies workflow last reported. */
  runnerProblem: string | undefined;
  readonly #recorder: Recorder<DelegationRecord>;
  readonly #order: RunnerOrder;
  /** Its proxies were asked to step aside, and not yet to come back. */
  #holding: boolean;
  readonly #steps: Step[];
  #shown = '';

  constructor(input: DelegationInput, carried?: DelegationState) {
    this.input = input;
    this.job = carried?.job ?? input.job;
    this.progress = new DelegationProgress(input.proxies.names, carried?.known);
    this.position = carried?.position ?? createPosition();
    const { names } = input.proxies;
    const showRefusal = (reason: string): void => this.describe({ detail: `asking again later: ${reason}` });
    this.forge = new ForgeQuestions(this.progress, names, showRefusal, carried?.refusedSince);
    this.aside = carried?.aside ?? false;
    this.hint = carried?.hint ?? false;
    this.runnerProblem = carried?.runnerProblem;
    this.#recorder = new Recorder((records) => recordDelegation({ records }), carried?.records);
    this.#order = new RunnerOrder(input, carried?.order);
    this.#holding = carried?.holding ?? false;
    this.#steps = [...(carried?.steps ?? [])];
  }

  /**
   * Whether this run of the workflow should end and the next one go on. A state that is just being recorded is waited for: the next run
   * could record a newer one before it.
   */
  mustContinueAsNew(): boolean {
    return historyIsFull() && this.#recorder.isQuiet;
  }

  toState(): DelegationState {
    const { job, position, aside, hint, runnerProblem } = this;
    return {
      job,
      known: this.progress.job,
      position,
      refusedSince: this.forge.refusedSince,
      aside,
      hint,
      runnerProblem,
      records: this.#recorder.toState(),
      order: this.#order.toState(),
      holding: this.#holding,
      steps: this.#steps,
    };
  }

  /** Applies a batch of events. */
  apply(events: readonly DelegationEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case 'job':
          if (event.job.action !== 'queued') this.progress.applyNotice(event.job);
          break;
        case 'attempt-ended':
          this.hint = true;
          break;
        case 'stepped-aside':
          this.aside = true;
          if (event.problem) this.#addStep(event.problem);
          break;
        case 'no-runner':
          this.runnerProblem = event.problem;
          break;
        default:
          event satisfies never;
      }
    }
  }

  /** Whether the group's runners are online. */
  async observeGroup(): Promise<GroupView> {
    return await observeGroup({ group: this.input.proxies.group });
  }

  /** Requests a runner from the group's dispatcher; the group's `max` applies as usual. */
  async requestRunner(): Promise<void> {
    await this.#order.request(this.job, this.progress.job);
  }

  /** Needs no runner for a while: the job may not run yet. */
  async holdRequest(): Promise<void> {
    await this.#order.hold(this.job, this.progress.job);
  }

  /** Needs no runner any more, or has one. */
  async withdrawRequest(): Promise<void> {
    await this.#order.withdraw(this.job, this.progress.job);
  }

  /**
   * Asks the proxies to step aside for this delegation, or lets them come back.
   *
   * @param takenBy the proxy that took its re-run
   */
  async signalProxies(type: ProxiesEvent['type'], takenBy?: string): Promise<void> {
    if (type === 'release') {
      this.aside = false;
      if (!this.#holding) return;
    }
    this.#holding = type !== 'release';
    await local.signalProxies({ proxies: this.input.proxies, events: [{ type, delegation: this.job.id, takenBy }] });
  }

  async describeRunner(): Promise<RunnerInstance | null> {
    const { runner } = this.job;
    if (runner === null) return null;
    return await describeRunner({ group: this.input.proxies.group, runner });
  }

  /** Its runner after its program has exited, or what is known of it some seconds later. */
  async describeEndedRunner(): Promise<RunnerInstance | null> {
    const { runner } = this.job;
    if (runner === null) return null;
    return await describeEndedRunner({ group: this.input.proxies.group, runner });
  }

  /**
   * Changes the job's state in the UI and, in the background, for the API, and adds a step and an audit entry. The first step goes with
   * the second: the API has the job's first state already.
   */
  record(action: AuditEntry['action'], change: Partial<DelegatedJob>, outcome = 'ok'): void {
    this.describe(change);
    const { id, repository, runId, detail } = this.job;
    const audit: AuditEntry = {
      version: 1,
      // A re-run that a proxy took is run again: the same action, in another attempt.
      id: `${id}.${action}.${this.job.attempt ?? 0}.${outcome}`,
      at: new Date().toISOString(),
      who: `delegation/${id}`,
      action,
      delegation: id,
      repository,
      runId,
      outcome,
      detail: detail.slice(0, MAX_DETAIL_LENGTH),
    };
    this.#recorder.add({ job: this.job, audit }, { later: action === 'requested' });
  }

  /** Resolves when everything is recorded. */
  async finishRecords(): Promise<void> {
    await this.#recorder.finish();
  }

  /** Changes what Temporal's UI shows, and nothing else. */
  describe(change: Partial<DelegatedJob>): void {
    const { job } = this.progress;
    const known = job ? { forgeJobId: job.id, attempt: job.attempt, url: job.url } : {};
    this.job = { ...this.job, ...known, ...change };
    if (change.detail !== undefined) this.#addStep(change.detail);
    const shown = `${this.job.status}/${job?.id ?? ''}`;
    if (shown !== this.#shown) {
      this.#shown = shown;
      upsertSearchAttributes([
        { key: SEARCH_ATTRIBUTES.phase, value: this.job.status },
        ...(job ? [{ key: SEARCH_ATTRIBUTES.jobId, value: String(job.id) }] : []),
      ]);
    }
    this.updateView();
  }

  updateView(): void {
    setCurrentDetails(renderDelegationDetails(this.input, this.job, this.#steps));
  }

  #addStep(what: string): void {
    if (this.#steps.at(-1)?.what === what) return;
    this.#steps.push({ at: new Date().toISOString(), what });
    if (this.#steps.length > MAX_STEPS) this.#steps.shift();
    this.updateView();
  }
}
