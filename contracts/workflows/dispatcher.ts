import type { HookJob } from '../messages/runner-signal.ts';
import type { SlotGrant } from './capacity.ts';
import type { GroupSettings } from './group-settings.ts';
import type { InstanceUse } from './instance-use.ts';
import type { GroupPace } from './pace.ts';
import type { JobNeeds, JobNotice } from './job.ts';
import type { RunnerOutcome } from './phase.ts';

/** All that a group's dispatcher workflow takes and answers. Pure: workflow code imports this. */

export const DISPATCHER_WORKFLOW = 'dispatcher';

export const dispatcherWorkflowId = (group: string): string => `group/${group}`;

export interface DispatcherInput {
  settings: GroupSettings;
}

/** Signal; its argument is a batch: {@link DispatcherEvent}[]. */
export const DISPATCHER_EVENTS = 'dispatcherEvents';

/** What happens to a group. Each event is idempotent and may arrive in any order. */
export type DispatcherEvent =
  | { type: 'configure'; settings: GroupSettings }
  /** The group is no longer in the configuration: it drains, gives its waiting jobs to other groups, and ends. */
  | { type: 'removed' }
  | { type: 'control'; mode: GroupMode }
  | { type: 'slots'; grant: SlotGrant }
  | { type: 'job'; job: JobNotice }
  /** A runner's hook reports that a job started on it. */
  | { type: 'busy'; runner: string; job: HookJob }
  /** A runner that ran no job is leaving: from now on it serves none. `failed`: as in {@link RunnerOutcome}. */
  | { type: 'leaving'; runner: string; failed: boolean }
  /** A runner's instance is gone; `use`: what it was used for, to be recorded. */
  | { type: 'gone'; outcome: RunnerOutcome; use?: InstanceUse | undefined };

/**
 * The mode an operator sets: a `paused` group starts no runners, a `draining` one also retires its idle runners. Busy runners
 * finish in either mode, and demand is kept.
 */
export type GroupMode = 'active' | 'paused' | 'draining';

/** Update with names of runners; answers which of them may retire. */
export const MAY_RETIRE_RUNNERS = 'mayRetireRunners';

/** Query; answers {@link DispatcherSnapshot}. */
export const DISPATCHER_STATUS = 'dispatcherStatus';

export interface DispatcherSnapshot {
  settings: GroupSettings;
  mode: GroupMode;
  /** No longer in the configuration: the group drains, then its dispatcher ends. */
  removed: boolean;
  waiting: number;
  /** Those of the waiting jobs that idle runners passed over and that are no demand for now; `nextTryAt`: ISO 8601. */
  passedOver: { jobs: number; nextTryAt: string } | null;
  /** ISO 8601 */
  oldestWaitingSince: string | null;
  busy: number;
  /** Starting or idle, and not leaving. */
  ready: number;
  /** Neither busy nor ready: they were allowed to leave, and their instances are not gone yet. */
  leaving: number;
  backoffUntil: string | null;
  /** Set while starts are held back because the forge does not let the runners register soon. */
  pace: GroupPace | null;
  /** Runners that wait for a slot on a capped backend. */
  wantedSlots: number;
}

/** Query with a job's id; answers {@link JobStatus}. */
export const DISPATCHER_JOB_STATUS = 'dispatcherJobStatus';

/**
 * What a dispatcher knows of one job. `passed-over`: idle runners came and went without getting it, and it is no demand for a while;
 * `too-old`: the forge does not let a job wait for so long.
 */
export interface JobStatus {
  state: 'waiting' | 'passed-over' | 'held' | 'too-old' | 'finished' | 'running' | 'unknown';
  /** ISO 8601; null unless the job waits, is held or is too old. */
  since: string | null;
  /** Its position among the group's waiting jobs: 1 is next. */
  position: number | null;
  /** How often an idle runner that was there for it got no job. */
  passedOver: number;
  /** When it is demand again, where it was passed over: ISO 8601. */
  nextTryAt: string | null;
  runner: string | null;
  /** What the job asks for, while it waits. */
  needs: JobNeeds | null;
}

/** Query; answers {@link Roster}. */
export const DISPATCHER_ROSTER = 'dispatcherRoster';

/** All that a dispatcher counts, by name: the health check compares it with the forge, the backend and Temporal. */
export interface Roster {
  slots: ObservedSlot[];
  waiting: ObservedJob[];
}

/** A runner as its dispatcher counts it. */
export interface ObservedSlot {
  runner: string;
  /** Milliseconds since the epoch. */
  since: number;
  busy: boolean;
}

/** A job that waits for a runner, or that an environment holds. */
export interface ObservedJob {
  key: string;
  jobId: number;
  repository: string;
  /** Milliseconds since the epoch. */
  since: number;
  held: boolean;
}
