import type { SlotGrant, SlotRequest } from '../workflows/capacity.ts';
import type { GroupSettings } from '../workflows/group-settings.ts';
import type { StartResult } from '../workflows/pace.ts';

/** Activities on {@link TASK_QUEUE}.orchestrator, beside the workflows: a start of runners waits for none of the other queues. */
export interface OrchestratorActivities {
  /**
   * Starts runner workflows, the first ones if not all may start yet; one that is already started is left as it is.
   *
   * @param order.idle how many of them are to be kept idle, not for jobs that wait
   */
  startRunners(order: { settings: GroupSettings; runners: string[]; idle: number }): Promise<StartResult>;
  /** Asks runners to retire unless they run a job. */
  retireRunners(order: { group: string; runners: string[] }): Promise<void>;
  /** Sends the request to the backend's capacity workflow; does nothing where there is none. */
  requestSlots(request: SlotRequest): Promise<void>;
  /** Signals dispatchers how many runners they may have on a capped backend. */
  grantSlots(grants: { group: string; grant: SlotGrant }[]): Promise<void>;
}
