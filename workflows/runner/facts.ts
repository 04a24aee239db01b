import type { RunnerEvent } from '../../contracts/workflows/runner.ts';
import type { JobNotice } from '../../contracts/workflows/job.ts';
import { describeResources } from '../../contracts/messages/describe-resources.ts';
import type { JobResources } from '../../contracts/messages/job-resources.ts';
import type { HookJob } from '../../contracts/messages/runner-signal.ts';
import type { RemovalReason } from '../../contracts/workflows/phase.ts';

/** One line of what was heard, for people. */
export interface LogEntry {
  at: string;
  what: string;
}

const HEARD_LIMIT = 12;

/** {@link Facts} as JSON, for continue-as-new. */
export type FactsState = Omit<Facts, 'learn' | 'toState' | 'detailOf'>;

/**
 * What is known of a runner, from all its sources: hooks, agent, the backend's watcher, the forge's webhooks. Each item
 * may come twice, late, in any order, or never; facts only ever become true.
 */
export class Facts {
  /** The gate was passed: a registration may exist on the forge. */
  granted = false;
  online = false;
  /** A job started, as a hook or the forge says. */
  started = false;
  hookJob: HookJob | undefined;
  /** The job by the forge's own id. */
  job: JobNotice | undefined;
  /** The completed hook ran. The job is not yet complete on the forge. */
  hookCompleted = false;
  /** The forge says that the job is complete. */
  forgeCompleted = false;
  conclusion: string | null = null;
  exited: { code: number | null; signal: string | null; logTail: string } | undefined;
  /** What its job used, as the recorder says. */
  resources: JobResources | undefined;
  /** The cloud said that it takes the instance back. */
  interrupted: { action: string; deadline: string | null } | undefined;
  died: { reason: string; exitCode: number | null } | undefined;
  /** It died while nobody had yet said that its job was over: the forge will call that job completed, too, once it misses it. */
  diedAtWork = false;
  heard: LogEntry[] = [];

  constructor(state?: FactsState) {
    if (state !== undefined) Object.assign(this, state);
  }

  toState(): FactsState {
    const { granted, online, started, hookJob, job, hookCompleted, forgeCompleted } = this;
    const { conclusion, exited, died, diedAtWork, heard, resources, interrupted } = this;
    const begun = { granted, online, started, hookJob, job };
    const ended = { hookCompleted, forgeCompleted, conclusion, exited, interrupted, died, diedAtWork };
    return { ...begun, ...ended, heard, resources };
  }

  /** What is known besides of an end for that reason, a clause for a person. */
  detailOf(reason: RemovalReason): string | undefined {
    if (reason === 'instance-died') return this.died?.reason;
    if (reason !== 'agent-exited' || this.exited === undefined) return undefined;
    const { code, signal, logTail } = this.exited;
    const ended = code === null ? signal : `exit code ${code}`;
    const last = logTail.trimEnd().split('\n').at(-1)?.trim().slice(0, 200);
    return [ended, last].filter(Boolean).join(': ') || undefined;
  }

  /** Takes a batch of news; true where something new was learnt. */
  learn(items: readonly RunnerEvent[]): boolean {
    let fresh = false;
    for (const item of items) fresh = this.#one(item) || fresh;
    return fresh;
  }

  #one(item: RunnerEvent): boolean {
    switch (item.type) {
      case 'signal':
        return this.#signal(item.signal);
      case 'died':
        if (this.died !== undefined) return false;
        this.died = { reason: item.died.reason, exitCode: item.died.exitCode };
        this.diedAtWork = item.died.exitCode !== 0 && !this.hookCompleted && !this.forgeCompleted && !this.exited;
        return this.#note(item.died.at, `backend: instance ${item.died.reason}`);
      case 'job':
        return this.#job(item.job);
      case 'retire':
        // A wish, not a fact about the runner: its actor keeps it.
        return false;
      default:
        return item satisfies never;
    }
  }

  #signal(signal: Extract<RunnerEvent, { type: 'signal' }>['signal']): boolean {
    switch (signal.kind) {
      case 'online':
        if (this.online) return false;
        this.online = true;
        return this.#note(signal.at, `agent: online on ${signal.host}`);
      case 'started':
        if (this.hookJob !== undefined) return false;
        this.hookJob = signal.job;
        this.started = true;
        return this.#note(signal.at, `hook: job ${signal.job.jobKey} started`);
      case 'completed':
        if (this.hookCompleted) return false;
        this.hookCompleted = true;
        this.started = true;
        this.hookJob ??= signal.job;
        return this.#note(signal.at, `hook: job ${signal.job.jobKey} completed`);
      case 'resources':
        if (this.resources !== undefined) return false;
        this.resources = signal.resources;
        return this.#note(signal.at, `hook: job used ${describeResources(signal.resources)}`);
      case 'interrupted':
        if (this.interrupted !== undefined) return false;
        this.interrupted = { action: signal.action, deadline: signal.deadline };
        return this.#note(signal.at, `agent: the cloud takes its instance back${when(signal.deadline)}`);
      case 'exited':
        if (this.exited !== undefined) return false;
        this.exited = { code: signal.code, signal: signal.signal, logTail: signal.logTail };
        return this.#note(signal.at, `agent: runner program ended with ${signal.signal ?? `code ${signal.code}`}`);
      default:
        return signal satisfies never;
    }
  }

  #job(notice: JobNotice): boolean {
    // A runner runs one job: what names another one is not about this life.
    if (this.job !== undefined && this.job.key !== notice.key) return false;
    if (notice.action === 'in_progress' && this.job === undefined) {
      this.job = notice;
      this.started = true;
      return this.#note(notice.at, `forge: job ${notice.name} in progress`);
    }
    if (notice.action === 'completed' && !this.forgeCompleted) {
      this.job ??= notice;
      this.started = true;
      this.forgeCompleted = true;
      this.conclusion = notice.conclusion;
      return this.#note(notice.at, `forge: job ${notice.name} completed: ${notice.conclusion ?? 'no conclusion'}`);
    }
    return false;
  }

  #note(at: string, what: string): true {
    this.heard.push({ at, what });
    if (this.heard.length > HEARD_LIMIT) this.heard.shift();
    return true;
  }
}

/** ` at 12:03:44Z`. Job code may have sent any text as a time. */
function when(deadline: string | null): string {
  const time = /T([\d:]{8})/.exec(deadline ?? '')?.[1];
  return time === undefined ? '' : ` at ${time}Z`;
}
