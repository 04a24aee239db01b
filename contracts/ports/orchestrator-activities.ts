import type { SlotGrant, SlotRequest } from '../workflows/capacity.ts';
import type { GroupSettings } from '../workflows/group-settings.ts';
import type { StartResult } from '../workflows/pace.ts';
import type { Takeover } from '../workflows/takeover.ts';

/** Activities on {@link TASK_QUEUE}.orchestrator, beside the workflows: a start of runners waits for none of the other queues. */
export interface OrchestratorActivities {
  /**
   * Starts runner workflows, the first ones if not all may start yet; one that is already started is left as it is.
   *
   * @param order.idle how many of them are to be kept idle, not for jobs that wait
   * @param order.again a dispatcher that was ended may have started some of them: all are started, however many may start now
   */
  startRunners(order: {
    settings: GroupSettings;
    runners: string[];
    idle: number;
    again?: boolean;
  }): Promise<StartResult>;
  /**
   * Finds what a dispatcher that starts without state has to take over: the group's running runners, and the state of a dispatcher
   * that was ended from outside. Where there was such a one, also starts a health check, which finds jobs that nobody counts now.
   */
  findTakeover(order: { settings: GroupSettings; fingerprint: string }): Promise<Takeover>;
  /** Asks runners to retire unless they run a job. */
  retireRunners(order: { group: string; runners: string[] }): Promise<void>;
  /** Sends the request to the backend's capacity workflow; does nothing where there is none. */
  requestSlots(request: SlotRequest): Promise<void>;
  /** Signals dispatchers how many runners they may have on a capped backend. */
  grantSlots(grants: { group: string; grant: SlotGrant }[]): Promise<void>;
}
