import type { JobNotice } from './actors.ts';
import type { ForgeScope } from '../ports/forge.ts';
import type { AuditEntry } from '../messages/audit.ts';
import type { DelegatedJob } from '../messages/delegation.ts';
import type { ForgeJob } from '../ports/run-control.ts';

/** Names by which services, workflows and people address a delegation's actors. Pure: workflow code imports this. */

export const DELEGATION_WORKFLOW = { delegation: 'delegation', proxies: 'proxies' } as const;

export const delegationWorkflowId = (id: string): string => `delegation/${id}`;
export const proxiesWorkflowId = (group: string): string => `proxies/${group}`;

export const DELEGATION_NEWS = 'news';
export const PROXIES_NEWS = 'news';

/** A runner says what became of it, once or while it lives. */
export const RUNNER_INSTANCE = 'instance';

/** The answer to {@link RUNNER_INSTANCE}. */
export interface RunnerInstance {
  instanceId: string | null;
  /** The forge's runner program has ended. */
  exited: { code: number | null; logTail: string } | null;
  /** Why the runner failed, a clause for a person; null as long as it has not. */
  failure: string | null;
}

/** Proxies of one group, as their actors know them; from the configuration, which the services read. */
export interface ProxiesSettings {
  group: string;
  scope: ForgeScope;
  /** The proxies' names on the forge. */
  names: string[];
  labels: string[];
}

export interface DelegationInput {
  /** As it was handed over. */
  job: DelegatedJob;
  proxies: ProxiesSettings;
  waitForRunnerMs: number;
}

/** What a delegation is told, in batches; each item may come twice, late, in any order, or never. */
export type DelegationNews =
  | { type: 'job'; job: JobNotice }
  /** The proxy's completed hook: the failed attempt is about to end on the forge. */
  | { type: 'attempt-over' }
  /** All proxies of the group stepped aside; or why that could not be done. */
  | { type: 'aside'; problem: string | null };

/** What a group's proxies actor is told. */
export type ProxiesNews = { type: 'hold' | 'release'; delegation: string };

export interface DelegationOutcome {
  id: string;
  status: 'completed' | 'failed';
  conclusion: string | null;
  detail: string;
}

/** The demand that a delegation makes at its group's dispatcher, until its job starts on one of the group's runners. */
export const demandKey = (delegation: string): string => `delegation:${delegation}`;
export const isDemandKey = (key: string): boolean => key.startsWith(demandKey(''));

/** What a group's runners are up to, as far as a delegation that waits for one wants to know. */
export interface GroupView {
  /** Runners whose program is connected to the forge. */
  online: number;
  /** What keeps the next one from coming up: a clause for a person; null where nothing is known to. */
  problem: string | null;
}

/** A delegation's activities, on the orchestrator's task queue. */
export interface DelegationActivities {
  /** Writes the job's state where the API reads it, and a line to the audit stream. Twice is once. */
  recordDelegation(order: { job: DelegatedJob; audit: AuditEntry | null }): Promise<void>;
  recordAudit(order: { audit: AuditEntry }): Promise<void>;
  /** The job that the proxy has in hand, claimed for this delegation; or the delegation that it belongs to already. */
  findDelegatedJob(order: { job: DelegatedJob }): Promise<{ job: ForgeJob } | { handedTo: string }>;
  /** The same job in the run's newest attempt, claimed for this delegation. */
  observeDelegatedJob(order: {
    id: string;
    repository: string;
    job: ForgeJob;
  }): Promise<{ job: ForgeJob } | { handedTo: string }>;
  /**
   * Sees to it that just that job is run again: `again` where a new attempt of it is under way, `busy` while the run has
   * other jobs under way, `over` where it needs no re-run.
   */
  rerunDelegatedJob(order: {
    id: string;
    repository: string;
    job: ForgeJob;
    proxies: string[];
  }): Promise<{ state: 'again' | 'busy' | 'over'; job: ForgeJob } | { handedTo: string }>;
  /** Tells the group's dispatcher of a demand, or that it is over. */
  tellDemand(order: { group: string; job: JobNotice }): Promise<void>;
  lookAtGroup(order: { group: string }): Promise<GroupView>;
  describeRunner(order: { group: string; runner: string }): Promise<RunnerInstance | null>;
  /** Tells the group's proxies actor, starting it where it doesn't run. */
  tellProxies(order: { proxies: ProxiesSettings; news: ProxiesNews[] }): Promise<void>;
  /** Gives proxies these labels in place of all they have; those that are not registered are left out. */
  labelProxies(order: { scope: ForgeScope; names: string[]; labels: string[] }): Promise<{ labelled: string[] }>;
  tellDelegations(order: { ids: string[]; news: DelegationNews[] }): Promise<void>;
}
