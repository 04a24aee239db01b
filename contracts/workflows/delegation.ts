import type { DelegatedJob } from '../messages/delegation.ts';
import type { ForgeScope } from '../ports/forge.ts';
import type { JobNotice } from './job.ts';

/** All that the delegation and proxies workflows take and answer. Pure: workflow code imports this. */

export const DELEGATION_WORKFLOW = 'delegation';

export const delegationWorkflowId = (id: string): string => `delegation/${id}`;

export interface DelegationInput {
  /** The job as the proxy handed it over. */
  job: DelegatedJob;
  proxies: ProxiesSettings;
  waitForRunnerMs: number;
}

/** Signal; its argument is a batch: {@link DelegationEvent}[]. */
export const DELEGATION_EVENTS = 'delegationEvents';

/** What happens to a delegation. Each event may arrive twice, late, in any order, or never. */
export type DelegationEvent =
  | { type: 'job'; job: JobNotice }
  /** The proxy's completed hook: the failed attempt is about to end on the forge. */
  | { type: 'attempt-ended' }
  /** All proxies of the group stepped aside; or why that failed. */
  | { type: 'stepped-aside'; problem: string | null }
  /** No runner of the group is online yet, and this is why. */
  | { type: 'no-runner'; problem: string };

export interface DelegationOutcome {
  id: string;
  status: 'completed' | 'failed';
  conclusion: string | null;
  detail: string;
}

/** The key of a delegation's demand at its group's dispatcher, until its job starts on one of the group's runners. */
export const demandKey = (delegation: string): string => `delegation:${delegation}`;
export const isDemandKey = (key: string): boolean => key.startsWith(demandKey(''));

/** What delegations that wait for a runner know of its group. */
export interface GroupView {
  /** Runners whose program is connected to the forge. */
  online: number;
  /** Why no runner is online, as one clause for people to read; null where nothing is known. */
  problem: string | null;
}

export const PROXIES_WORKFLOW = 'proxies';

export const proxiesWorkflowId = (group: string): string => `proxies/${group}`;

/** The proxies of one group. The services read it from the configuration. */
export interface ProxiesSettings {
  group: string;
  scope: ForgeScope;
  /** The proxies' names on the forge. */
  names: string[];
  labels: string[];
  /** When they were read, ISO 8601: newer settings replace older ones. */
  asOf: string;
}

/** Signal; its arguments are a batch, {@link ProxiesEvent}[], and the sender's {@link ProxiesSettings}. */
export const PROXIES_EVENTS = 'proxiesEvents';

/**
 * A delegation needs the proxies of its group to step aside: now (`hold`), or as soon as a runner of the group is online
 * (`hold-when-online`). Or it no longer needs that (`release`).
 */
export interface ProxiesEvent {
  type: 'hold' | 'hold-when-online' | 'release';
  delegation: string;
  /** The proxy that took the delegation's re-run, although it had stepped aside. */
  takenBy?: string | undefined;
}
