import type { RunnerEvent } from '../../contracts/workflows/runner.ts';
import type { JobNotice } from '../../contracts/workflows/job.ts';
import { describeResources } from '../../contracts/messages/describe-resources.ts';
import type { JobResources } from '../../contracts/messages/job-resources.ts';
import type { HookJob } from '../../contracts/messages/runner-signal.ts';
import type { RemovalReason } from '../../contracts/workflows/phase.ts';

/** One line of a runner's log: an event, for people to read. */
export interface LogEntry {
  at: string;
  what: string;
}

const MAX_LOG_ENTRIES = 12;

/** {@link Facts} as JSON, for continue-as-new. */
export type FactsState = Omit<Facts, 'apply' | 'toState' | 'describeEnd'>;

/**
 * What is known of a runner, from all sources: hooks, agent, the backend's watcher, the forge's webhooks. Each event may
 * arrive twice, late, in any order, or never; a fact never becomes false again.
 */
export class Facts {
  /** It was allowed to register: a registration may exist on the forge. */
  granted = false;
  online = false;
  /** A job started, as a hook or the forge reported. */
  started = false;
  hookJob: HookJob | undefined;
  /** The job as the forge reported it, with the forge's own id. */
  job: JobNotice | undefined;
  /** The completed hook ran. On the forge, the job is not complete yet. */
  hookCompleted = false;
  /** The forge says that the job is complete. */
  forgeCompleted = false;
  conclusion: string | null = null;
  exited: { code: number | null; signal: string | null; logTail: string } | undefined;
  /** What its job used, as the wrapper `resource-usage` reported. */
  resources: JobResources | undefined;
  /** The cloud announced that it reclaims the instance. */
  interrupted: { action: string; deadline: string | null } | undefined;
  /** Why the instance could not be created. */
  createProblem: string | undefined;
  died: { reason: string; exitCode: number | null } | undefined;
  /** The forge has no registration of it any more, though it never reported a job: it gets none. */
  unregistered = false;
  /**
   * The instance died before any source reported that its job had finished. The forge will later report that job as completed,
   * too.
   */
  diedAtWork = false;
  log: LogEntry[] = [];

  constructor(state?: FactsState) {
    if (state !== undefined) Object.assign(this, state);
  }

  toState(): FactsState {
    const { granted, online, started, hookJob, job, hookCompleted, forgeCompleted } = this;
    const { conclusion, exited, died, diedAtWork, unregistered, createProblem, log, resources, interrupted } = this;
    const begun = { granted, online, started, hookJob, job };
    const ended = { hookCompleted, forgeCompleted, conclusion, exited, interrupted, died, diedAtWork, unregistered };
    return { ...begun, ...ended, createProblem, log, resources };
  }

  /** What is known about an end for that reason, as one clause for people to read. */
  describeEnd(reason: RemovalReason): string | undefined {
    if (reason === 'instance-died') return this.died?.reason;
    if (reason !== 'agent-exited' || this.exited === undefined) return undefined;
    const { code, signal, logTail } = this.exited;
    const ended = code === null ? signal : `exit code ${code}`;
    const last = logTail.trimEnd().split('\n').at(-1)?.trim().slice(0, 200);
    return [ended, last].filter(Boolean).join(': ') || undefined;
  }

  /** Applies a batch of events. @returns whether any of them was new */
  apply(events: readonly RunnerEvent[]): boolean {
    let changed = false;
    for (const event of events) changed = this.#applyEvent(event) || changed;
    return changed;
  }

  #applyEvent(event: RunnerEvent): boolean {
    switch (event.type) {
      case 'signal':
        return this.#applySignal(event.signal);
      case 'died':
        if (this.died !== undefined) return false;
        this.died = { reason: event.died.reason, exitCode: event.died.exitCode };
        this.diedAtWork = event.died.exitCode !== 0 && !this.hookCompleted && !this.forgeCompleted && !this.exited;
        return this.#addToLog(event.died.at, `backend: instance died (${event.died.reason})`);
      case 'job':
        return this.#applyJob(event.job);
      case 'unregistered':
        if (this.unregistered) return false;
        this.unregistered = true;
        return this.#addToLog(event.at, 'forge: no longer has its registration');
      case 'retire':
        // A request, not a fact: the actor handles it.
        return false;
      default:
        return event satisfies never;
    }
  }

  #applySignal(signal: Extract<RunnerEvent, { type: 'signal' }>['signal']): boolean {
    switch (signal.kind) {
      case 'online':
        if (this.online) return false;
        this.online = true;
        return this.#addToLog(signal.at, `agent: online on ${signal.host}`);
      case 'started':
        if (this.hookJob !== undefined) return false;
        this.hookJob = signal.job;
        this.started = true;
        return this.#addToLog(signal.at, `hook: job ${signal.job.jobKey} started`);
      case 'completed':
        if (this.hookCompleted) return false;
        this.hookCompleted = true;
        this.started = true;
        this.hookJob ??= signal.job;
        return this.#addToLog(signal.at, `hook: job ${signal.job.jobKey} completed`);
      case 'resources':
        if (this.resources !== undefined) return false;
        this.resources = signal.resources;
        return this.#addToLog(signal.at, `hook: job used ${describeResources(signal.resources)}`);
      case 'interrupted':
        if (this.interrupted !== undefined) return false;
        this.interrupted = { action: signal.action, deadline: signal.deadline };
        return this.#addToLog(signal.at, `agent: the cloud reclaims the instance${formatDeadline(signal.deadline)}`);
      case 'exited':
        if (this.exited !== undefined) return false;
        this.exited = { code: signal.code, signal: signal.signal, logTail: signal.logTail };
        return this.#addToLog(signal.at, `agent: runner program ended with ${signal.signal ?? `code ${signal.code}`}`);
      default:
        return signal satisfies never;
    }
  }

  #applyJob(notice: JobNotice): boolean {
    // A runner runs one job: an event about another job is not about this runner.
    if (this.job !== undefined && this.job.key !== notice.key) return false;
    if (notice.action === 'in_progress' && this.job === undefined) {
      this.job = notice;
      this.started = true;
      return this.#addToLog(notice.at, `forge: job ${notice.name} in progress`);
    }
    if (notice.action === 'completed' && !this.forgeCompleted) {
      this.job ??= notice;
      this.started = true;
      this.forgeCompleted = true;
      this.conclusion = notice.conclusion;
      return this.#addToLog(notice.at, `forge: job ${notice.name} completed: ${notice.conclusion ?? 'no conclusion'}`);
    }
    return false;
  }

  #addToLog(at: string, what: string): true {
    this.log.push({ at, what });
    if (this.log.length > MAX_LOG_ENTRIES) this.log.shift();
    return true;
  }
}

/** ` at 12:03:44Z`. The deadline may be any text, as job code can send this signal. */
function formatDeadline(deadline: string | null): string {
  const time = /T([\d:]{8})/.exec(deadline ?? '')?.[1];
  return time === undefined ? '' : ` at ${time}Z`;
}
