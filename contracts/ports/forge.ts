import type { JobAction, JobEvent } from '../messages/job-event.ts';

/** Where runners are registered: in an organisation, or in one repository. */
export interface ForgeScope {
  organization: string;
  repository?: string | undefined;
}

/** The owner of a webhook: the App, an organisation, or a repository. */
export type HookOwner = { kind: 'app' } | ({ kind: 'organization' | 'repository' } & ForgeScope);

/** Who may use a group's runners, as set on the forge (organisations only). */
export interface GroupAccess {
  /** Names without the owner; undefined: all. */
  repositories?: string[] | undefined;
  allowPublic: boolean;
  /** `OWNER/REPOSITORY/.github/workflows/FILE.yml@REF`; undefined: all. */
  workflows?: string[] | undefined;
  /** Whether a group that Baton did not make may be used, with the access that it has. Default: no. */
  adopt?: true | undefined;
}

/** A group on the forge. */
export interface ForgeGroup {
  scope: ForgeScope;
  /** The group's name (organisations only: a repository has no groups). */
  group: string;
  /** The access that it is created with, if it does not exist. */
  access: GroupAccess;
}

export interface RegistrationOrder extends ForgeGroup {
  runner: string;
  labels: string[];
}

/** Holds a secret (`jitConfig`): never returned from an activity, never logged. */
export interface Registration {
  runnerId: number;
  jitConfig: string;
}

/** What one call may be bound to. */
export interface CallOptions {
  /** Fires when nobody waits for the answer any more: a call that is still queued is not sent. */
  signal?: AbortSignal | undefined;
}

/** How a look at the forge is answered: several askers share one. */
export interface LookOptions extends CallOptions {
  /** Milliseconds since the epoch: a look that began before this time is too old. Undefined: look now. */
  notBefore?: number | undefined;
}

/** What the forge's limits allow for registrations now. */
export interface RegistrationOutlook {
  /** Registrations a minute that all Apps of the scope may make together; null: no limit known. */
  perMinute: number | null;
  /** Registrations in five minutes that the scope allows, whichever App makes them; null: no limit known. */
  perFiveMinutes: number | null;
  /** Estimated wait of a registration asked for now, milliseconds: queue, budget, block, outage. */
  waitMs: number;
  /**
   * Why nothing is sent now, one clause for people (`GitHub's rate limit until 12:03:44Z`, `GitHub does not answer since …`);
   * null: nothing blocks.
   */
  blocked: string | null;
}

/**
 * - `removed`: it existed and was removed
 * - `absent`: the forge answered that none of that name exists
 * - `busy`: the forge answered that it runs a job; nothing was removed
 */
export type DeregistrationResult = 'removed' | 'absent' | 'busy';

/** A registration as the forge lists it. */
export interface ForgeRunner {
  name: string;
  busy: boolean;
}

/** A job's current state on the forge. */
export interface ForgeJob {
  action: JobAction;
  /** Its run or attempt is over. The forge may show such a job as queued for ever; {@link action} is `completed`. */
  runIsOver: boolean;
  job: JobEvent['job'];
  repository: JobEvent['repository'];
}

/** Where to search for waiting jobs. */
export interface QueueOrder {
  scope: ForgeScope;
  /** A job matches if all of its labels are among these. */
  labels: string[];
}

/** Jobs that wait on the forge; what could not be read, and notes for people, one clause each. */
export interface QueuedJobs {
  jobs: ForgeJob[];
  unread: string[];
  notes: string[];
}

/** What was changed in a group on the forge, and what was left as it is, one clause each. */
export interface GroupReconciliation {
  changes: string[];
  notes: string[];
}

export interface RedeliveryOrder {
  hook: HookOwner;
  /** Only webhooks with this address. Undefined: the only webhook for jobs, if there is exactly one. */
  url?: string | undefined;
  /** Deliveries after this time are checked; milliseconds since the epoch. */
  since: number;
  /** Deliveries that keep failing, by GUID, and since when. Given up after a day, when the forge has cancelled their job. */
  failing: ReadonlyMap<string, number>;
}

export interface Redelivery {
  /** GUIDs of the deliveries that were redelivered now, with the time of their first attempt. */
  again: [guid: string, since: number][];
  /** Notes for people to read, one clause each. */
  notes: string[];
}

/** What Baton asks of a forge. Every method throws BatonErrors FORGE_*; an error is never an answer. */
export interface Forge {
  readonly type: string;

  /**
   * Creates a registration for a single job. Replaces one of the same name, which a lost answer may have left, unless its runner
   * is online: that is REGISTRATION_DELAYED.
   */
  register(order: RegistrationOrder, options?: CallOptions): Promise<Registration>;

  /**
   * What the limits allow for registrations in that scope now. Asks nobody: from what this process knows.
   *
   * @param group also says why none of that group's runners may register
   */
  getRegistrationOutlook(scope: ForgeScope, group?: string): RegistrationOutlook;

  /** Removes the registration of that name unless it is busy. */
  deregister(scope: ForgeScope, runner: string): Promise<DeregistrationResult>;

  /** The registration of that name; undefined only where the forge answers that there is none. */
  findRegistration(scope: ForgeScope, runner: string, options?: CallOptions): Promise<ForgeRunner | undefined>;

  /** All registrations of the organisation or repository, including those that Baton did not create. */
  listRegistrations(scope: ForgeScope, options?: LookOptions): Promise<ForgeRunner[]>;

  /**
   * Creates the group or corrects its settings. A group that Baton did not make is given no more access than it has; where the
   * configuration does not adopt it, nothing is changed: BatonError GROUP_NOT_ADOPTED.
   */
  reconcileRunnerGroup(group: ForgeGroup, options?: LookOptions): Promise<GroupReconciliation>;

  /**
   * The job as it is now; undefined where the forge knows no such job, or where we may not see it. A job of a run or of an attempt
   * that is over is completed, whatever the forge says of the job itself.
   *
   * @param repository `owner/name`; may be a former name
   */
  getJob(repository: string, id: number, options?: CallOptions): Promise<ForgeJob | undefined>;

  /** Jobs that wait for a runner. */
  listQueuedJobs(order: QueueOrder, options?: LookOptions): Promise<QueuedJobs>;

  /** Redelivers webhooks for jobs of which no attempt arrived. */
  redeliver(order: RedeliveryOrder, options?: CallOptions): Promise<Redelivery>;
}
