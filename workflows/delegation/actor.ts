import { proxyActivities, proxyLocalActivities, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
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
import { type DelegationActivities } from '../../contracts/ports/delegation-activities.ts';
import { type RunnerInstance } from '../../contracts/workflows/runner.ts';
import type { AuditEntry } from '../../contracts/messages/audit.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import { delegationDetails, type Step } from './details.ts';
import { Progress } from './progress.ts';

const STEPS_KEPT = 30;
const LONGEST_DETAIL = 1500;

const local = proxyLocalActivities<
  Pick<
    DelegationActivities,
    'recordDelegation' | 'signalDemand' | 'observeGroup' | 'describeRunner' | 'signalProxies' | 'recordAudit'
  >
>({ startToCloseTimeout: '20 s', retry: { initialInterval: '500 ms', maximumInterval: '15 s' } });

const forge = proxyActivities<
  Pick<DelegationActivities, 'findDelegatedJob' | 'observeDelegatedJob' | 'rerunDelegatedJob'>
>({
  taskQueue: TASK_QUEUE.orchestrator,
  startToCloseTimeout: '5 min',
  heartbeatTimeout: '20 s',
  retry: { initialInterval: '1 s', maximumInterval: '1 min' },
});
const finder = proxyActivities<Pick<DelegationActivities, 'findDelegatedJob'>>({
  taskQueue: TASK_QUEUE.orchestrator,
  startToCloseTimeout: '1 min',
  // The forge's list lags; a job that it never shows can't be run again.
  scheduleToCloseTimeout: '1 hour',
  retry: { initialInterval: '500 ms', maximumInterval: '15 s' },
  summary: 'find the job on the forge',
});

/** The delegation's job belongs to another delegation already, which does it. */
export class HandedOn {
  readonly to: string;

  constructor(to: string) {
    this.to = to;
  }
}

/** A delegation's own deeds: each is an activity, or a change of what people see of it. */
export class DelegationActor {
  readonly input: DelegationInput;
  readonly progress: Progress;
  job: DelegatedJob;
  /** All proxies stepped aside for this delegation. */
  aside = false;
  /** Says that the forge is worth a look before its time. */
  hint = false;
  readonly #steps: Step[] = [];
  #shown = '';

  constructor(input: DelegationInput) {
    this.input = input;
    this.job = input.job;
    this.progress = new Progress(input.proxies.names);
  }

  /** Takes news in. */
  hear(items: readonly DelegationEvent[]): void {
    for (const item of items) {
      switch (item.type) {
        case 'job':
          if (item.job.action !== 'queued') this.progress.heard(item.job);
          break;
        case 'attempt-ended':
          this.hint = true;
          break;
        case 'stepped-aside':
          this.aside = true;
          if (item.problem) this.#step(item.problem);
          break;
        default:
          item satisfies never;
      }
    }
  }

  /** Finds the job on the forge. */
  async find(): Promise<HandedOn | undefined> {
    return this.#took(await finder.findDelegatedJob({ job: this.job }));
  }

  /** Looks at the job on the forge. */
  async observe(): Promise<HandedOn | undefined> {
    const { job } = this.progress;
    if (job === undefined) return undefined;
    const { id, repository } = this.job;
    return this.#took(await forge.observeDelegatedJob({ id, repository, job }));
  }

  /** Has just that job run again. */
  async rerun(): Promise<HandedOn | 'rerunning' | 'busy' | 'not-needed'> {
    const { job } = this.progress;
    if (job === undefined) return 'not-needed';
    const { id, repository } = this.job;
    const result = await forge.rerunDelegatedJob({ id, repository, job, proxies: this.input.proxies.names });
    if ('handedTo' in result) return new HandedOn(result.handedTo);
    this.progress.saw(result.job);
    return result.state;
  }

  /** What the group's runners are up to. */
  async group(): Promise<GroupView> {
    return await local.observeGroup({ group: this.input.proxies.group });
  }

  /** Orders a runner at the group's dispatcher, or takes the order back; the group's `max` holds for it as for all. */
  async demand(wanted: boolean): Promise<void> {
    const { id, repository, runId, workflow, url, requestedAt } = this.job;
    const notice: JobNotice = {
      key: demandKey(id),
      delivery: id,
      action: wanted ? 'queued' : 'completed',
      // None yet: the forge has no job that waits, and who asks it for this one is to find none.
      jobId: 0,
      runId: Number(runId),
      // Of the attempt that will run on it: what a runner's hook then says counts against this order.
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
  async proxies(type: ProxiesEvent['type']): Promise<void> {
    if (type === 'release') this.aside = false;
    await local.signalProxies({ proxies: this.input.proxies, events: [{ type, delegation: this.job.id }] });
  }

  async runner(): Promise<RunnerInstance | null> {
    const { runner } = this.job;
    if (runner === null) return null;
    return await local.describeRunner({ group: this.input.proxies.group, runner });
  }

  /** Changes what is told of the job, to people and where the API reads it, and writes down a step. */
  async record(action: AuditEntry['action'], change: Partial<DelegatedJob>, outcome = 'ok'): Promise<void> {
    this.tell(change);
    const { id, repository, runId, detail } = this.job;
    const audit: AuditEntry = {
      version: 1,
      // A job that landed on a proxy is run again: the same step, another time.
      id: `${id}.${action}.${this.job.attempt ?? 0}.${outcome}`,
      at: new Date().toISOString(),
      who: `delegation/${id}`,
      action,
      delegation: id,
      repository,
      runId,
      outcome,
      detail: detail.slice(0, LONGEST_DETAIL),
    };
    await local.recordDelegation({ job: this.job, audit });
  }

  /** Changes what people see in Temporal's UI alone. */
  tell(change: Partial<DelegatedJob>): void {
    const { job } = this.progress;
    const known = job ? { forgeJobId: job.id, attempt: job.attempt, url: job.url } : {};
    this.job = { ...this.job, ...known, ...change };
    if (change.detail !== undefined) this.#step(change.detail);
    const shown = `${this.job.status}/${job?.id ?? ''}`;
    if (shown !== this.#shown) {
      this.#shown = shown;
      upsertSearchAttributes([
        { key: SEARCH_ATTRIBUTES.phase, value: this.job.status },
        ...(job ? [{ key: SEARCH_ATTRIBUTES.jobId, value: String(job.id) }] : []),
      ]);
    }
    this.show();
  }

  show(): void {
    setCurrentDetails(delegationDetails(this.input, this.job, this.#steps));
  }

  #took(result: { job: NonNullable<Progress['job']> } | { handedTo: string }): HandedOn | undefined {
    if ('handedTo' in result) return new HandedOn(result.handedTo);
    this.progress.saw(result.job);
    return undefined;
  }

  #step(what: string): void {
    if (this.#steps.at(-1)?.what === what) return;
    this.#steps.push({ at: new Date().toISOString(), what });
    if (this.#steps.length > STEPS_KEPT) this.#steps.shift();
    this.show();
  }
}
