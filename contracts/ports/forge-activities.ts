import type { DelegatedJob } from '../messages/delegation.ts';
import type { ForgeScope } from './forge.ts';
import type { RunJob } from './run-control.ts';

/** Activities on {@link TASK_QUEUE}.forge: each calls the forge. */
export interface ForgeActivities extends DelegatedJobActivities {
  removeRegistration(order: { scope: ForgeScope; runner: string }): Promise<'removed' | 'absent' | 'busy'>;
}

/** A proxy, and the labels that it is to have besides those that the forge itself gives it. */
export interface ProxyToLabel {
  name: string;
  labels: string[];
}

/** What became of a proxy's labels. */
export interface LabelledProxy {
  name: string;
  /** `absent`: it is not registered. `refused`: the forge will probably refuse again. `failed`: it may soon be possible. */
  result: 'labelled' | 'absent' | 'refused' | 'failed';
  /** Why its labels were not replaced, for people to read; null where they were, or where it is not registered. */
  problem: string | null;
  /** How long the forge asks to wait before the next try; null where it does not say. */
  retryAfterMs: number | null;
}

export interface RerunOrder {
  /** The delegation's id. */
  id: string;
  repository: string;
  job: RunJob;
  proxies: string[];
}

/**
 * `ready`: the job may be run again. `busy`: not yet, as other jobs of its run are running. `rerunning`: a new attempt of it exists or
 * is about to. `not-needed`: it did not fail on a proxy.
 */
export type RerunState = 'ready' | 'busy' | 'rerunning' | 'not-needed';

/** The job, where it belongs to the delegation; or the delegation that it belongs to. */
export type RerunAnswer = { state: RerunState; job: RunJob } | { handedTo: string };

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
  /** Whether the forge would run just that job again now. Changes nothing. */
  checkRerun(order: RerunOrder): Promise<RerunAnswer>;
  /** Makes the forge run just that job again. Never answers `ready`. */
  rerunDelegatedJob(order: RerunOrder): Promise<RerunAnswer>;
  /** Replaces all labels of each of these proxies. What keeps one of them from its labels keeps no other one from its own. */
  labelProxies(order: { scope: ForgeScope; proxies: ProxyToLabel[] }): Promise<{ results: LabelledProxy[] }>;
}
