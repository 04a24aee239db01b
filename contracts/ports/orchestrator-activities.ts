import type { SlotGrant, SlotRequest } from '../workflows/capacity.ts';
import type { GroupSettings } from '../workflows/group-settings.ts';
import type { MovedJob } from '../workflows/job.ts';
import type { RunnerReport } from '../workflows/runner.ts';
import type { ForgeScope } from './forge.ts';
import type { HealthActivities } from './health-activities.ts';

/** Activities on the orchestrator's task queue. */
export interface OrchestratorActivities extends HealthActivities {
  /** Starts runner workflows; one that is already started is left as it is. */
  startRunners(order: { settings: GroupSettings; runners: string[] }): Promise<void>;
  removeRegistration(order: { scope: ForgeScope; runner: string }): Promise<'removed' | 'absent' | 'busy'>;
  /** Signals the dispatcher that the runner is gone, and records what its instance was used for. */
  reportGone(order: RunnerReport): Promise<void>;
  /** Asks runners to retire unless they run a job. */
  retireRunners(order: { group: string; runners: string[] }): Promise<void>;
  /** Moves the waiting jobs of a removed group to the groups that serve them now. */
  moveJobs(order: { from: string; jobs: MovedJob[] }): Promise<void>;
  /** Sends the request to the backend's capacity workflow; does nothing where there is none. */
  requestSlots(request: SlotRequest): Promise<void>;
  /** Signals dispatchers how many runners they may have on a capped backend. */
  grantSlots(grants: { group: string; grant: SlotGrant }[]): Promise<void>;
  /** Asks the runner's dispatcher whether the runner may retire. */
  requestRetirement(order: { group: string; runner: string }): Promise<'retire' | 'keep'>;
}
