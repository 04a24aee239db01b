import { proxyActivities, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import { type JobNotice } from '../../contracts/workflows/job.ts';
import {
  demandKey,
  type DelegationInput,
  type DelegationEvent,
  type GroupView,
  type ProxiesEvent,
} from '../../contracts/workflows/delegation.ts';
import type { DelegatedJobActivities } from '../../contracts/ports/forge-activities.ts';
import type { SignalActivities } from '../../contracts/ports/signal-activities.ts';
import { type RunnerInstance } from '../../contracts/workflows/runner.ts';
import type { AuditEntry } from '../../contracts/messages/audit.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import { local } from '../lib/local-activities.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';
import { renderDelegationDetails, type Step } from './details.ts';
import { DelegationProgress } from './progress.ts';
import { Recorder } from './recorder.ts';

const MAX_STEPS = 30;
const MAX_DETAIL_LENGTH = 1500;

const { observeGroup } = proxySignalActivities('look whether runners are online');
const { describeRunner } = proxySignalActivities('ask the runner about its instance');

const { describeEndedRunner } = proxyActivities<Pick<SignalActivities, 'describeEndedRunner'>>({
  taskQueue: TASK_QUEUE.signals,
  startToCloseTimeout: '1 min',
  retry: { initialInterval: '1 s', maximumInterval: '8 s' },
  summary: 'ask the runner how its program exited',
});
const forge = proxyActivities<Pick<DelegatedJobActivities, 'observeDelegatedJob' | 'rerunDelegatedJob'>>({
  taskQueue: TASK_QUEUE.forge,
  startToCloseTimeout: '5 min',
  heartbeatTimeout: '20 s',
  retry: { initialInterval: '1 s', maximumInterval: '1 min' },
});
const finder = proxyActivities<Pick<DelegatedJobActivities, 'findDelegatedJob'>>({
  taskQueue: TASK_QUEUE.forge,
  startToCloseTimeout: '1 min',
  // The forge's list lags behind. After this time, the job is lost.
  scheduleToCloseTimeout: '1 hour',
  retry: { initialInterval: '500 ms', maximumInterval: '15 s' },
  summary: 'find the job on the forge',
});

/** The job belongs to another delegation already, which runs it. */
export class HandedOn {
  readonly to: string;

  constructor(to: string) {
    this.to = to;
  }
}

/** A delegation's state, the events that change it, and its activities. */
export class DelegationActor {
  readonly input: DelegationInput;
  readonly progress: DelegationProgress;
  job: DelegatedJob;
  /** All proxies stepped aside for this delegation. */
  aside = false;
  /** The job has probably changed: ask the forge before the timer fires. */
  hint = false;
  /** Why no runner of the group is online, as the group's proxies workflow last reported. */
  runnerProblem: string | undefined;
  readonly #recorder = new Recorder();
  #demanding = false;
  /** Its proxies were asked to step aside, and not yet to come back. */
  #holding = false;
  readonly #steps: Step[] = [];
  #shown = '';

  constructor(input: DelegationInput) {
    this.input = input;
    this.job = input.job;
    this.progress = new DelegationProgress(input.proxies.names);
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

  /** Finds the job on the forge. */
  async findJob(): Promise<HandedOn | undefined> {
    return this.#applyAnswer(await finder.findDelegatedJob({ job: this.job }));
  }

  /** Asks the forge about the job. */
  async observeJob(): Promise<HandedOn | undefined> {
    const { job } = this.progress;
    if (job === undefined) return undefined;
    const { id, repository } = this.job;
    return this.#applyAnswer(await forge.observeDelegatedJob({ id, repository, job }));
  }

  /** Makes the forge run just that job again. */
  async rerunJob(): Promise<HandedOn | 'rerunning' | 'busy' | 'not-needed'> {
    const { job } = this.progress;
    if (job === undefined) return 'not-needed';
    const { id, repository } = this.job;
    const result = await forge.rerunDelegatedJob({ id, repository, job, proxies: this.input.proxies.names });
    if ('handedTo' in result) return new HandedOn(result.handedTo);
    this.progress.applyJob(result.job);
    return result.state;
  }

  /** Whether the group's runners are online. */
  async observeGroup(): Promise<GroupView> {
    return await observeGroup({ group: this.input.proxies.group });
  }

  /** Requests a runner from the group's dispatcher, or withdraws the request; the group's `max` applies as usual. */
  async signalDemand(wanted: boolean): Promise<void> {
    if (wanted === this.#demanding) return;
    this.#demanding = wanted;
    const { id, repository, runId, workflow, url, requestedAt } = this.job;
    const notice: JobNotice = {
      key: demandKey(id),
      delivery: id,
      action: wanted ? 'queued' : 'completed',
      // On the forge, no job waits yet, so that there is no id to ask about.
      jobId: 0,
      runId: Number(runId),
      // The attempt that will run on it: the dispatcher matches what the runner's hook reports with this request.
      runAttempt: (this.progress.job?.attempt ?? this.job.runAttempt) + 1,
      repository,
      private: true,
      labels: this.input.proxies.labels,
      workflow,
      name: this.progress.job?.name ?? this.job.jobId,
      url,
      conclusion: null,
      runnerName: null,
      at: requestedAt,
    };
    await local.signalDemand({ group: this.input.proxies.group, job: notice });
  }

  /** Asks the proxies to step aside for this delegation, or lets them come back. */
  async signalProxies(type: ProxiesEvent['type']): Promise<void> {
    if (type === 'release') {
      this.aside = false;
      if (!this.#holding) return;
    }
    this.#holding = type !== 'release';
    await local.signalProxies({ proxies: this.input.proxies, events: [{ type, delegation: this.job.id }] });
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

  #applyAnswer(result: { job: NonNullable<DelegationProgress['job']> } | { handedTo: string }): HandedOn | undefined {
    if ('handedTo' in result) return new HandedOn(result.handedTo);
    this.progress.applyJob(result.job);
    return undefined;
  }

  #addStep(what: string): void {
    if (this.#steps.at(-1)?.what === what) return;
    this.#steps.push({ at: new Date().toISOString(), what });
    if (this.#steps.length > MAX_STEPS) this.#steps.shift();
    this.updateView();
  }
}
