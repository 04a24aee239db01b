import type { InstanceTls } from '../messages/bootstrap-file.ts';
import type { HookSettings, ResolvedHooks } from '../workflows/hook-settings.ts';
import type { Phase } from '../workflows/phase.ts';

/** What a backend is asked to make: everything about one instance but its secrets. JSON, and in workflow histories. */
export interface InstanceSpec {
  /** Whose it is: the installation's name, on every resource. */
  installation: string;
  group: string;
  /** The runner's name; also the instance's, and the key of idempotence. */
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
  /** What the group asks of its hooks; secrets by name. Absent: the signals alone. */
  hooks?: HookSettings | undefined;
  /** End of the runner's time to live, ISO 8601: its credential ends then, and so should the instance by itself. */
  expiresAt: string;
}

/** What the agent in an instance needs to begin; holds a secret, so made by the backend worker and never in a history. */
export interface Bootstrap {
  natsUrl: string;
  /** How its server is trusted; absent: as the server wants. */
  natsTls?: InstanceTls | undefined;
  /** Content of a NATS credentials file that is good for this runner's own subjects only, until `expiresAt`. */
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
  /** What kind of machine it is, as price tables name it: `m7i.large`. Absent where there is one kind only. */
  machine?: string | undefined;
  /** How it is paid for. Absent where it isn't bought. */
  market?: 'spot' | 'on-demand' | undefined;
  /** Where it is dead. */
  exitCode?: number | null | undefined;
  /** One clause for a person, where it is dead: `exited with code 1`. */
  reason?: string | undefined;
}

/** What an instance's tags say of its runner and the job on it. Text from outside: a backend makes of it what its tags may hold. */
export interface JobTags {
  phase: Phase;
  repository: string;
  workflow: string;
  /** The job's name; its key in the workflow file, where only its hook has spoken so far. */
  job: string;
  run: string;
  attempt: string;
}

/** What a cloud's machine is given to run when it boots: a script that holds the bootstrap's secret. Below 16 kB. */
export type RenderUserData = (spec: InstanceSpec, bootstrap: Bootstrap) => string;

/**
 * What makes instances. One file implements it, the contract suite in test/contract/backend holds it, adding one
 * touches no other room.
 *
 * Every method throws a BatonError: BACKEND_UNAVAILABLE when there was no answer (never to be read as "not there"),
 * BACKEND_DENIED when it refused our credentials, others as named. A given AbortSignal ends the call early; what was
 * half made is found again by name.
 */
export interface Backend {
  readonly type: string;

  /**
   * Makes the instance and starts it; where it exists already with the same parameters, answers with that one
   * (finishing what was left half done). An instance that already ran and died is returned as `dead`, never started again.
   *
   * @throws INSTANCE_CONFLICT when one of that name exists with other parameters or another owner;
   *   INSTANCE_INVALID, IMAGE_MISSING; CAPACITY_EXHAUSTED when no place has such a machine
   */
  create(spec: InstanceSpec, bootstrap: Bootstrap, abort: AbortSignal): Promise<Instance>;

  /** The instance of that runner, or undefined on the backend's positive answer that there is none. */
  describe(runner: string, abort: AbortSignal): Promise<Instance | undefined>;

  /** All instances of this installation, dead ones that still hold resources included. */
  list(abort: AbortSignal): Promise<Instance[]>;

  /** Removes the instance and all that was made for it (network, folder). Unknown is fine: it is gone. */
  delete(runner: string, abort: AbortSignal): Promise<void>;

  /**
   * Says on the runner's instance what it does, in place of what was said before; all other tags stay as they are. `absent` on
   * the backend's positive answer that this installation has none of that name. Left out where what is said of an instance can't
   * change any more once it is made.
   */
  tag?(runner: string, tags: JobTags, abort: AbortSignal): Promise<'tagged' | 'absent'>;

  /**
   * Calls back for every instance of this installation that dies, those which died while nobody watched included; the same
   * death may be told more than once. Ends when `abort` fires; survives the backend's own restarts.
   */
  watch(onDeath: (dead: Instance) => void, abort: AbortSignal): Promise<void>;
}
