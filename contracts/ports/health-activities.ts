import type { ObservedSlot } from '../workflows/dispatcher.ts';
import type { GroupSettings } from '../workflows/group-settings.ts';
import type { ObservedRegistration, ObservedWorkflow } from '../workflows/health.ts';
import type { GroupAccess, GroupReconciliation, HookOwner } from './forge.ts';

/** A question that the forge is asked once for all groups. */
export interface SharedLook {
  /** How long ago the look may have begun, milliseconds; an age, because clocks differ. */
  maxAgeMs: number;
}

/** Activities of the health check on {@link TASK_QUEUE}.forgeBackground, but for those on instances. */
export interface HealthActivities {
  /** The group's running runner workflows, from Temporal's visibility. */
  listWorkflows(order: { settings: GroupSettings }): Promise<ObservedWorkflow[]>;
  /** The runners that the group's dispatcher counts. */
  listSlots(order: { group: string }): Promise<ObservedSlot[]>;
  /**
   * Which of these runners had no running workflow at that time, nor since, as Temporal itself says: its visibility lags behind.
   *
   * @param order `at`: milliseconds since the epoch
   */
  confirmOrphaned(order: { group: string; runners: string[]; at: number }): Promise<string[]>;
  /** The registrations of this installation's group. */
  listRegistrations(order: { settings: GroupSettings } & SharedLook): Promise<ObservedRegistration[]>;
  /** Creates or corrects the runner group on the forge. */
  reconcileRunnerGroup(
    order: { settings: GroupSettings; access: GroupAccess } & SharedLook,
  ): Promise<GroupReconciliation>;
  /** Asks the forge about jobs that have waited for longer than that, and signals the answers to the dispatcher. */
  recheckDemand(order: {
    group: string;
    olderThanMs: number;
  }): Promise<{ asked: number; dropped: number; unread: string[] }>;
  /** Makes the forge redeliver failed deliveries. */
  redeliver(order: {
    hooks: HookOwner[];
    hookUrl?: string | undefined;
    since: number;
    failing: [string, number][];
  }): Promise<{ redelivered: number; failing: [string, number][]; notes: string[] }>;
  /** Publishes queued jobs of the group's repositories that its dispatcher does not know, as if a webhook had arrived. */
  findLostJobs(
    order: { settings: GroupSettings } & SharedLook,
  ): Promise<{ found: number; unread: string[]; notes: string[] }>;
  /** Signals the dispatcher that these runners are gone. */
  freeSlots(order: { group: string; runners: string[] }): Promise<void>;
  /** Signals a runner that its instance does not exist. */
  signalInstanceMissing(order: { group: string; runner: string }): Promise<void>;
  /** Whether the forge has that runner's registration; asked for this one, because a list may be cut or late. */
  checkRegistration(order: { settings: GroupSettings; runner: string }): Promise<'present' | 'absent'>;
  /** Signals a runner that the forge has no registration of it. */
  signalUnregistered(order: { group: string; runner: string }): Promise<void>;
  /** Writes the schedule's note. */
  recordHealthNote(order: { group: string; note: string }): Promise<void>;
}
