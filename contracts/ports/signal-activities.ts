import type { AuditEntry } from '../messages/audit.ts';
import type { DelegatedJob } from '../messages/delegation.ts';
import type { DelegationEvent, GroupView } from '../workflows/delegation.ts';
import type { InstanceUse } from '../workflows/instance-use.ts';
import type { MovedJob } from '../workflows/job.ts';
import type { RunnerInstance } from '../workflows/runner.ts';

/** A state of a delegation, for the API, and the audit entry of the step that led to it. */
export interface DelegationRecord {
  job: DelegatedJob;
  audit: AuditEntry;
}

/** Activities on {@link TASK_QUEUE}.signals: they wait for other workflows, for Temporal's visibility or for the bus. */
export interface SignalActivities {
  /** Asks the runner's dispatcher whether the runner may retire. */
  requestRetirement(order: { group: string; runner: string }): Promise<'retire' | 'keep'>;
  /** Records what instances were used for. Recording the same runner again changes nothing. */
  recordUses(order: { uses: InstanceUse[] }): Promise<void>;
  /** Moves the waiting jobs of a removed group to the groups that serve them now. */
  moveJobs(order: { from: string; jobs: MovedJob[] }): Promise<void>;
  /** Stores the newest state for the API, and publishes all audit entries. `records` of one delegation, oldest first. */
  recordDelegation(order: { records: DelegationRecord[] }): Promise<void>;
  recordAudit(order: { audit: AuditEntry }): Promise<void>;
  /** How many of a group's runners are online, or else what stops them. */
  observeGroup(order: { group: string }): Promise<GroupView>;
  describeRunner(order: { group: string; runner: string }): Promise<RunnerInstance | null>;
  /**
   * The same once the runner's program has exited, which it does a moment after its job's end: fails until then, so that Temporal
   * calls it again, which adds no events to the history. After some attempts it returns what is known.
   */
  describeEndedRunner(order: { group: string; runner: string }): Promise<RunnerInstance | null>;
  signalDelegations(order: { ids: string[]; events: DelegationEvent[] }): Promise<void>;
}
