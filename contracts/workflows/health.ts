import type { GroupSettings } from './actors.ts';
import type { GroupAccess, HookOwner } from '../ports/forge.ts';

/** What a group's health check and its activities say to one another. Pure: workflow code imports this. */

export interface HealthInput {
  settings: GroupSettings;
  access: GroupAccess;
  /**
   * What is younger is left alone, and what was marked must have been so for that long before it is removed: lists of
   * forges, clouds and Temporal's visibility lag behind. Milliseconds.
   */
  graceMs: number;
  /** Whose failed deliveries this group's check has sent again; each owner is one group's alone. */
  hooks: HookOwner[];
  /** Only webhooks that go there are ours. Undefined: see {@link Forge.redeliver}. */
  hookUrl?: string | undefined;
}

/** An instance as the backend lists it. */
export interface InstanceSight {
  runner: string;
  state: 'running' | 'dead';
  /** Milliseconds since the epoch. */
  since: number;
}

/** A registration as the forge lists it. */
export interface RegistrationSight {
  runner: string;
  busy: boolean;
}

/** A runner's workflow as Temporal's visibility has it: moments old. */
export interface WorkflowSight {
  runner: string;
  since: number;
  /** Whether it should have an instance by now, and not be rid of it yet. */
  embodied: boolean;
}

/** A runner as its dispatcher counts it. */
export interface SlotSight {
  runner: string;
  since: number;
  busy: boolean;
}

/** A job that a dispatcher holds as demand. */
export interface WaitingSight {
  key: string;
  jobId: number;
  repository: string;
  since: number;
}

/** All that a dispatcher counts (query DISPATCHER_ROSTER). */
export interface Roster {
  slots: SlotSight[];
  waiting: WaitingSight[];
}

/** Something that was found without its counterpart, and when first. */
export interface Mark {
  /**
   * - `ownerless`: an instance, a registration or a dispatcher's slot whose runner workflow is not running
   * - `bodiless`: a runner workflow whose instance is gone
   */
  kind: 'ownerless' | 'bodiless';
  runner: string;
  since: number;
}

/** What a check leaves for the next one: the schedule hands it over as the last result. */
export interface HealthState {
  version: 1;
  marks: Mark[];
  /** Deliveries begun after this are yet to be looked at; milliseconds since the epoch. */
  deliveriesSince: number;
  /** When those that keep failing were first seen, by GUID. */
  failing: [guid: string, since: number][];
  /** Where the next look for lost jobs goes on in the list of repositories. */
  repositoryCursor: number;
}

/** A check's result. */
export interface HealthReport {
  /** ISO 8601 */
  at: string;
  group: string;
  runners: number;
  /** Marked now for the first time, one line each; removed or mended, one line each. */
  marked: string[];
  mended: string[];
  /** What could not be looked at, and why: it is looked at again next time. */
  unanswered: string[];
  /** Jobs that waited too long, of them still waiting, and dropped. */
  demand: { asked: number; dropped: number };
  /** Failed deliveries sent again; queued jobs that no webhook had told of. */
  redelivered: number;
  found: number;
  state: HealthState;
}

/** Activities of the health check on the orchestrator's task queue. */
export interface HealthActivities {
  /** The group's running runner workflows, from visibility. */
  listWorkflows(order: { settings: GroupSettings }): Promise<WorkflowSight[]>;
  /** What the group's dispatcher counts. */
  listSlots(order: { group: string }): Promise<SlotSight[]>;
  /** Which of these have no running workflow, as Temporal itself says: not visibility, which lags. */
  confirmOwnerless(order: { group: string; runners: string[] }): Promise<string[]>;
  /** The registrations of this manager's group. */
  listRegistrations(order: { settings: GroupSettings; access: GroupAccess }): Promise<RegistrationSight[]>;
  /** Brings the group on the forge to what it is to be; what was changed, a clause each. */
  keepGroup(order: { settings: GroupSettings; access: GroupAccess }): Promise<string[]>;
  /** Asks the forge about jobs that wait for longer than that, and tells the dispatcher what it says. */
  reaskDemand(order: { group: string; olderThanMs: number }): Promise<{ asked: number; dropped: number }>;
  /** Has failed deliveries sent again. */
  redeliver(order: {
    hooks: HookOwner[];
    hookUrl?: string | undefined;
    since: number;
    failing: [string, number][];
  }): Promise<{ redelivered: number; failing: [string, number][]; notes: string[] }>;
  /** Publishes queued jobs of the group's repositories that its dispatcher doesn't know, as if a webhook had come. */
  findLostJobs(order: { settings: GroupSettings; cursor: number }): Promise<{ found: number; cursor: number }>;
  /** Tells the dispatcher that these are gone. */
  freeSlots(order: { group: string; runners: string[] }): Promise<void>;
  /** Tells a runner that its instance is gone. */
  tellDead(order: { group: string; runner: string }): Promise<void>;
  /** Writes the schedule's note. */
  noteHealth(order: { group: string; note: string }): Promise<void>;
}
