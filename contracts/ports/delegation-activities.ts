import type { AuditEntry } from '../messages/audit.ts';
import type { DelegatedJob } from '../messages/delegation.ts';
import type { DelegationEvent, GroupView, ProxiesEvent, ProxiesSettings } from '../workflows/delegation.ts';
import type { JobNotice } from '../workflows/job.ts';
import type { RunnerInstance } from '../workflows/runner.ts';
import type { ForgeScope } from './forge.ts';
import type { RunJob } from './run-control.ts';

/** A delegation's activities, on the orchestrator's task queue. */
export interface DelegationActivities {
  /** Stores the job's state for the API, and publishes an audit entry. Repeating it has no effect. */
  recordDelegation(order: { job: DelegatedJob; audit: AuditEntry | null }): Promise<void>;
  recordAudit(order: { audit: AuditEntry }): Promise<void>;
  /** The job that the proxy is running, claimed for this delegation; or the delegation that claimed it before. */
  findDelegatedJob(order: { job: DelegatedJob }): Promise<{ job: RunJob } | { handedTo: string }>;
  /** The same job in the run's newest attempt, claimed for this delegation. */
  observeDelegatedJob(order: {
    id: string;
    repository: string;
    job: RunJob;
  }): Promise<{ job: RunJob } | { handedTo: string }>;
  /**
   * Makes the forge run just that job again: `rerunning` where a new attempt of it exists, `busy` while other jobs of the run
   * are running, `not-needed` where it needs no re-run.
   */
  rerunDelegatedJob(order: {
    id: string;
    repository: string;
    job: RunJob;
    proxies: string[];
  }): Promise<{ state: 'rerunning' | 'busy' | 'not-needed'; job: RunJob } | { handedTo: string }>;
  /** Signals the group's dispatcher that a demand exists, or that it ended. */
  signalDemand(order: { group: string; job: JobNotice }): Promise<void>;
  observeGroup(order: { group: string }): Promise<GroupView>;
  describeRunner(order: { group: string; runner: string }): Promise<RunnerInstance | null>;
  /** Signals the group's proxies workflow, starting it where it does not run. */
  signalProxies(order: { proxies: ProxiesSettings; events: ProxiesEvent[] }): Promise<void>;
  /** Replaces all labels of these proxies; those that are not registered are left out of the result. */
  labelProxies(order: { scope: ForgeScope; names: string[]; labels: string[] }): Promise<{ labelled: string[] }>;
  signalDelegations(order: { ids: string[]; events: DelegationEvent[] }): Promise<void>;
}
