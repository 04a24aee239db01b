import type { InstanceTls } from '../messages/bootstrap-file.ts';
import type { HookSettings, ResolvedHooks } from '../workflows/hook-settings.ts';
import type { Phase } from '../workflows/phase.ts';

/** What a backend creates: everything about one instance except its secrets. JSON, and part of workflow histories. */
export interface InstanceSpec {
  /** The installation's name, written on every resource. */
  installation: string;
  group: string;
  /** The runner's name, also the instance's: creating it again has no effect. */
  runner: string;
  image?: string | undefined;
  cpu?: number | undefined;
  memoryBytes?: number | undefined;
  diskBytes?: number | undefined;
  pids: number;
  /** `uid:gid` or `uid`; never root. */
  user: string;
  /** The forge's runner program: where it is installed, and what to run in place of its run.sh. */
  program: { directory: string; command?: string[] | undefined };
  /** The group's hook settings, secrets by name. Absent: the hooks only send signals. */
  hooks?: HookSettings | undefined;
  /** End of the runner's time to start, ISO 8601: an agent without a registration then gives up. Absent: after 10 minutes. */
  startBy?: string | undefined;
  /** End of the runner's time to live, ISO 8601: its credential expires then, and the instance should end by itself. */
  expiresAt: string;
}

/** What the agent in an instance needs to start. Holds a secret: the backend worker creates it, and no history has it. */
export interface Bootstrap {
  natsUrl: string;
  /** How to verify the NATS server. Absent: the server decides. */
  natsTls?: InstanceTls | undefined;
  /** Content of a NATS credentials file that is valid only for this runner's own subjects, until `expiresAt`. */
  credentials: string;
  /** {@link InstanceSpec.hooks} with its secrets. */
  hooks?: ResolvedHooks | undefined;
}

export type InstanceState = 'running' | 'dead';

export interface Instance {
  /** The backend's own id: container id, pid, i-…, … */
  id: string;
  runner: string;
  group: string;
  state: InstanceState;
  /** ISO 8601 */
  createdAt: string;
  /** The kind of machine, as price tables name it: `m7i.large`. Absent where there is only one kind. */
  machine?: string | undefined;
  /** How it is billed. Absent where it is not billed. */
  market?: 'spot' | 'on-demand' | undefined;
  /** Set if it is dead. */
  exitCode?: number | null | undefined;
  /** Why it is dead, as one clause for people to read: `exited with code 1`. */
  reason?: string | undefined;
}

/** What an instance's tags say about its runner and job. The texts come from outside: a backend must fit them to its rules. */
export interface JobTags {
  phase: Phase;
  repository: string;
  workflow: string;
  /** The job's name; its key in the workflow file, if only its hook has reported so far. */
  job: string;
  run: string;
  attempt: string;
}

/** Is told about the pulls of images, for metrics. */
export interface PullObserver {
  /** Called when these numbers may have changed: pulls that run, and those that wait for their turn. */
  counted(pulls: { running: number; waiting: number }): void;
  /** Called at the end of each pull. */
  ended(outcome: 'ok' | 'failed', seconds: number): void;
}

/** Is told about the packet filter between instances and the machine that they run on, for metrics. */
export interface FilterObserver {
  /**
   * Called at the end of each check.
   *
   * @param outcome `restored` where the rules had vanished
   * @param dropped packets of instances that the rules have dropped since the last check
   */
  checked(outcome: 'ok' | 'restored' | 'failed', dropped: number): void;
}

/** Throws a BatonError where the work that is under way may be out of date, so that it must change nothing any more. */
export type Confirm = () => Promise<void>;

/** Renders the script that a cloud's machine runs when it boots. It holds the bootstrap's secret and is below 16 kB. */
export type RenderUserData = (spec: InstanceSpec, bootstrap: Bootstrap) => string;

/**
 * What creates instances. A backend is one file that implements this interface and passes the contract suite in
 * test/contract/backend. Adding one changes no other room.
 *
 * Every method throws a BatonError: BACKEND_UNAVAILABLE when there was no answer (which never means "does not exist"),
 * BACKEND_DENIED when the backend refused our credentials, BACKEND_REFUSED when it refused to look, to delete or to tag for
 * another reason, which may last; others as named. The AbortSignal ends a call early; the next call
 * finds a partly created instance by its name.
 */
export interface Backend {
  readonly type: string;

  /**
   * Creates the instance and starts it. If it exists already with the same parameters, completes and returns that one. An
   * instance that already ran and died is returned as `dead`, and never started again.
   *
   * @param confirm to be awaited just before the instance is requested. It throws where this create may be out of date: a process
   *   that slept for long wakes up in the middle of it, when others have finished it and removed the instance again
   * @throws INSTANCE_CONFLICT when one of that name exists with other parameters or another owner;
   *   INSTANCE_INVALID, IMAGE_MISSING; IMAGE_PULLING, at once, while its image is pulled; CAPACITY_EXHAUSTED when no zone or subnet has such a machine
   */
  create(spec: InstanceSpec, bootstrap: Bootstrap, abort: AbortSignal, confirm?: Confirm): Promise<Instance>;

  /** The instance of that runner; undefined only if the backend answers that there is none. */
  describe(runner: string, abort: AbortSignal): Promise<Instance | undefined>;

  /** All instances of this installation, including dead ones that still hold resources. */
  list(abort: AbortSignal): Promise<Instance[]>;

  /** Removes the instance and all that was created for it (network, folder). Does nothing if there is none. */
  delete(runner: string, abort: AbortSignal): Promise<void>;

  /**
   * Replaces the tags that Baton wrote on the runner's instance; other tags stay. `absent` only if the backend answers that this
   * installation has no such instance. Not implemented where tags cannot change after an instance was created.
   */
  tag?(runner: string, tags: JobTags, abort: AbortSignal): Promise<'tagged' | 'absent'>;

  /**
   * Calls `onDeath` for every instance of this installation that dies, including those that died before the call; it may call it
   * more than once for the same instance. Ends when `abort` fires; continues after the backend restarts.
   */
  watch(onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void>;
}
