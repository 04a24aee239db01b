import type { GroupAccess, HookOwner } from '../ports/forge.ts';
import type { GroupSettings } from './group-settings.ts';

/** All that a group's health check takes, leaves and answers. Pure: workflow code imports this. */

export const HEALTH_CHECK_WORKFLOW = 'healthCheck';

/** Ids of the schedules begin with this. The workflows that a schedule starts have their start time appended to its id. */
export const HEALTH_SCHEDULE_PREFIX = 'health-check/';

export const healthScheduleId = (group: string): string => `${HEALTH_SCHEDULE_PREFIX}${group}`;

/** A schedule's times are those whose remainder after division by `everyMs` is `offsetMs`. */
export interface HealthScheduleTimes {
  everyMs: number;
  offsetMs: number;
}

export interface HealthInput {
  settings: GroupSettings;
  access: GroupAccess;
  /**
   * Milliseconds. Anything younger is ignored, and a mark must be at least this old before its subject is removed: lists of
   * forges and clouds and Temporal's visibility lag behind.
   */
  graceMs: number;
  /** When the schedule starts checks: any other check was requested, and looks at the forge anew. */
  schedule?: HealthScheduleTimes | undefined;
  /** Webhook owners whose failed deliveries this group's check redelivers; each owner belongs to one group only. */
  hooks: HookOwner[];
  /** Only webhooks with this address are ours. Undefined: see {@link Forge.redeliver}. */
  hookUrl?: string | undefined;
}

/** An instance as the backend lists it. */
export interface ObservedInstance {
  runner: string;
  state: 'running' | 'dead';
  /** Milliseconds since the epoch. */
  since: number;
}

/** A registration as the forge lists it. */
export interface ObservedRegistration {
  runner: string;
  busy: boolean;
}

/** A runner's workflow as Temporal's visibility lists it, a few moments late. */
export interface ObservedWorkflow {
  runner: string;
  /** Milliseconds since the epoch. */
  since: number;
  /** Whether its instance should exist now: created, and not yet removed. */
  expectsInstance: boolean;
  /** Whether the forge should have its registration now: its program is online, and no job of it is known to be over. */
  expectsRegistration: boolean;
}

/** Something that the check found without its counterpart. */
export interface Mark {
  /**
   * - `orphaned`: an instance, a registration or a dispatcher's slot whose runner workflow is not running
   * - `missingInstance`: a runner workflow whose instance does not exist
   * - `missingRegistration`: a runner workflow whose program is online, but which the forge does not know: it gets no job
   */
  kind: 'orphaned' | 'missingInstance' | 'missingRegistration';
  runner: string;
  /** When it was first found, milliseconds since the epoch. */
  since: number;
}

/** What a check leaves for the next one: the schedule passes it on as the last result. */
export interface HealthState {
  version: 1;
  marks: Mark[];
  /** Deliveries after this time are not checked yet; milliseconds since the epoch. */
  deliveriesSince: number;
  /** Deliveries that keep failing, by GUID, and when the check first saw each. */
  failing: [guid: string, since: number][];
}

/** A check's result. */
export interface HealthReport {
  /** ISO 8601 */
  at: string;
  group: string;
  runners: number;
  /** Marked for the first time, one line each. */
  marked: string[];
  /** Removed or repaired, one line each. */
  repaired: string[];
  /** What could not be checked, and why: the next check tries again. */
  unanswered: string[];
  /** What a person should know or change, one line each. */
  notes: string[];
  /** Jobs that waited too long: how many the forge was asked about, and how many of these no longer wait. */
  demand: { asked: number; dropped: number };
  /** Failed deliveries that were redelivered. */
  redelivered: number;
  /** Queued jobs for which no webhook had arrived. */
  found: number;
  state: HealthState;
}
