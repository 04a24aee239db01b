import type { DelegatedJob } from '../messages/delegation.ts';
import type { ForgeScope } from './forge.ts';
import type { RunJob } from './run-control.ts';

/** Activities on {@link TASK_QUEUE}.forge: each calls the forge. */
export interface ForgeActivities extends DelegatedJobActivities {
  removeRegistration(order: { scope: ForgeScope; runner: string }): Promise<'removed' | 'absent' | 'busy'>;
}

/** A delegation's activities on the forge. */
export interface DelegatedJobActivities {
  /** The job that the proxy is running, claimed for this delegation; or the delegation that claimed it before. */
  findDelegatedJob(order: { job: DelegatedJob }): Promise<{ job: RunJob } | { handedTo: string }>;
  /** The same job in the run's newest attempt, claimed for this delegation. */
  observeDelegatedJob(order: {
    id: string;
    repository: string;
    job: RunJob;
  }): Promise<{ job: RunJob } | { handedTo: string }>;
  /**
   * Makes the forge run just that job again: `rerunning` where a new attempt of it exists or is about to, `busy` while other jobs of
   * the run are running, `not-needed` where it needs no re-run.
   */
  rerunDelegatedJob(order: {
    id: string;
    repository: string;
    job: RunJob;
    proxies: string[];
  }): Promise<{ state: 'rerunning' | 'busy' | 'not-needed'; job: RunJob } | { handedTo: string }>;
  /** Replaces all labels of these proxies; those that are not registered are left out of the result. */
  labelProxies(order: { scope: ForgeScope; names: string[]; labels: string[] }): Promise<{ labelled: string[] }>;
}
