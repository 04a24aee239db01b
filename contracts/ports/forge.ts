import type { JobAction, JobEvent } from '../messages/job-event.ts';

/** Whose runners they are: an organisation's group, or one repository. */
export interface ForgeScope {
  organization: string;
  repository?: string | undefined;
}

/** Whose webhooks: the App's own, an organisation's, or a repository's. */
export type HookOwner = { kind: 'app' } | ({ kind: 'organization' | 'repository' } & ForgeScope);

/** Who may use a group's runners, as the forge is told (organisations only). */
export interface GroupAccess {
  /** Names without the owner; undefined: all. */
  repositories?: string[] | undefined;
  allowPublic: boolean;
  /** `OWNER/REPOSITORY/.github/workflows/FILE.yml@REF`; undefined: all. */
  workflows?: string[] | undefined;
}

/** A group on the forge. */
export interface ForgeGroup {
  scope: ForgeScope;
  /** By name (organisations only; a repository has no groups). */
  group: string;
  /** What it is made with, should it not be there. */
  access: GroupAccess;
}

export interface RegistrationOrder extends ForgeGroup {
  runner: string;
  labels: string[];
}

/** Holds a secret (`jitConfig`); never returned from an activity, never logged. */
export interface Registration {
  runnerId: number;
  jitConfig: string;
}

/**
 * - `removed`: it was there and now is not
 * - `absent`: the forge answered that there is none of that name
 * - `busy`: the forge says it runs a job; nothing was removed
 */
export type DeregistrationResult = 'removed' | 'absent' | 'busy';

/** A registration as the forge lists it. */
export interface ForgeRunner {
  name: string;
  busy: boolean;
}

/** A job as the forge says it is now. */
export interface ForgeJob {
  action: JobAction;
  job: JobEvent['job'];
  repository: JobEvent['repository'];
}

/** Where to look for jobs that wait. */
export interface QueueOrder {
  scope: ForgeScope;
  /** Of them the job must have no label that is not among these. */
  labels: string[];
  /** In a list of very many repositories, where to go on; 0 at first. */
  cursor: number;
}

export interface RedeliveryOrder {
  hook: HookOwner;
  /** Only webhooks that go to this address. Undefined: the only one there is that tells of jobs. */
  url?: string | undefined;
  /** Deliveries begun after this are looked at; milliseconds since the epoch. */
  since: number;
  /** Those known to fail, by GUID, and since when: given up after a day, when their job has died of old age. */
  failing: ReadonlyMap<string, number>;
}

export interface Redelivery {
  /** GUIDs that were sent again just now, with the time of their first delivery. */
  again: [guid: string, since: number][];
  /** What a person should know, a clause each. */
  notes: string[];
}

/** What Baton asks of a forge. Every method throws BatonErrors FORGE_*; an error is never an answer. */
export interface Forge {
  readonly type: string;

  /** Makes a single-job registration; one of the same name left by a lost answer is replaced. */
  register(order: RegistrationOrder): Promise<Registration>;

  /** Removes the registration of that name unless it is busy. */
  deregister(scope: ForgeScope, runner: string): Promise<DeregistrationResult>;

  /** All registrations of that group (of the organisation's group, or of the repository), whoever made them. */
  listRegistrations(group: ForgeGroup): Promise<ForgeRunner[]>;

  /** Makes the group and brings its settings to what they are to be; resolves with what was changed, a clause each. */
  reconcileRunnerGroup(group: ForgeGroup): Promise<string[]>;

  /**
   * The job as it is now; undefined where the forge knows none of that id, which may also mean that we may not see it.
   *
   * @param repository `owner/name`
   */
  getJob(repository: string, id: number): Promise<ForgeJob | undefined>;

  /** Jobs that wait for a runner; `cursor` is where the next look goes on. */
  listQueuedJobs(order: QueueOrder): Promise<{ jobs: ForgeJob[]; cursor: number }>;

  /** Has deliveries of jobs' webhooks sent again of which no attempt arrived. */
  redeliver(order: RedeliveryOrder): Promise<Redelivery>;
}
