import type { ForgeScope } from '../ports/forge.ts';
import type { HealthActivities, InstanceSight } from './health.ts';
import type { Instance, InstanceSpec, JobTags } from '../ports/backend.ts';
import type { JobAction } from '../messages/job-event.ts';
import type { HookJob, InstanceDied, RunnerSignal } from '../messages/runner-signal.ts';
import type { RunnerLife } from './runner-life.ts';
import type { RunnerOutcome } from './phase.ts';
import type { InstanceUse } from './instance-use.ts';

/** Names by which services, workflows and people address the actors. Pure: workflow code imports this. */

export const WORKFLOW = {
  runner: 'runner',
  dispatcher: 'dispatcher',
  healthCheck: 'healthCheck',
  places: 'places',
} as const;

export const runnerWorkflowId = (group: string, runner: string): string => `runner/${group}/${runner}`;
export const dispatcherWorkflowId = (group: string): string => `group/${group}`;
export const placesWorkflowId = (backend: string): string => `backend/${backend}`;
/** Of the schedule; the workflows that it starts have the time of their start after it. */
export const healthScheduleId = (group: string): string => `${HEALTH_SCHEDULES}${group}`;
export const HEALTH_SCHEDULES = 'health-check/';

export const TASK_QUEUE = {
  orchestrator: 'baton-orchestrator',
  backend: (name: string): string => `baton-backend-${name}`,
} as const;

/** Signals, queries and updates, by their names on the wire. */
export const RUNNER_NEWS = 'news';
export const RUNNER_REGISTER = 'register';
export const DISPATCHER_NEWS = 'news';
export const DISPATCHER_JOB = 'job';
export const PLACES_NEWS = 'news';
export const PLACES_STATUS = 'status';
export const DISPATCHER_STATUS = 'status';
export const DISPATCHER_MAY_RETIRE = 'mayRetire';
export const DISPATCHER_ROSTER = 'roster';

/**
 * By name, each with its type. On an SQL database Temporal takes ten of type Keyword and three of type Int in a namespace, and
 * keeps 255 characters of a Keyword.
 */
export const SEARCH_ATTRIBUTES = {
  BatonGroup: 'Keyword',
  BatonForge: 'Keyword',
  BatonRepository: 'Keyword',
  BatonPhase: 'Keyword',
  BatonBackend: 'Keyword',
  BatonJobId: 'Keyword',
  BatonWorkflow: 'Keyword',
  BatonJob: 'Keyword',
  BatonRunId: 'Keyword',
  BatonRunAttempt: 'Int',
} as const;

/** Where a runner's workflow keeps what its job used, one clause for people: its memo shows in lists. */
export const RESOURCES_MEMO = 'BatonResources';

/** What a job asks for: all that decides which group serves it. */
export interface JobNeeds {
  /** `owner/name` */
  repository: string;
  private: boolean;
  labels: readonly string[];
  /** The workflow's name, where it is known. */
  workflow: string | null;
}

/** A job as the actors know it. */
export interface JobNotice extends JobNeeds {
  /** Job id and attempt: `123:1`. */
  key: string;
  /** The delivery it came with: counts what is said once. */
  delivery: string;
  action: JobAction;
  jobId: number;
  runId: number;
  runAttempt: number;
  name: string;
  url: string | null;
  conclusion: string | null;
  runnerName: string | null;
  /** When ingress took it, ISO 8601. */
  at: string;
}

/** A group as its dispatcher knows it; from the configuration, which the services read. */
export interface GroupSettings {
  manager: string;
  name: string;
  forge: string;
  scope: ForgeScope;
  labels: string[];
  max: number;
  min: number;
  backend: string;
  /** Instances of all groups on that backend at most; null: no cap, and nobody is asked for places. */
  backendMax: number | null;
  /** 1 comes first, 5 last. */
  priority: number;
  timeToStartMs: number;
  timeToLiveMs: number;
  /** All of {@link InstanceSpec} that is the same for every runner of the group. */
  instance: Omit<InstanceSpec, 'manager' | 'group' | 'runner' | 'expiresAt'>;
}

/** What a dispatcher is told, in batches; each item is idempotent and may come in any order. */
export type DispatcherNews =
  | { type: 'configure'; settings: GroupSettings }
  /** The group is no longer in the configuration: it drains, hands its waiting jobs over, and ends. */
  | { type: 'removed' }
  | { type: 'control'; mode: GroupMode }
  | { type: 'places'; places: PlacesAnswer }
  | { type: 'job'; job: JobNotice }
  /** A runner's hook says that a job started on it. */
  | { type: 'busy'; runner: string; job: HookJob }
  | { type: 'gone'; outcome: RunnerOutcome };

/** What a runner is told, in batches; each item is idempotent and may come in any order. */
export type RunnerNews =
  | { type: 'signal'; signal: RunnerSignal }
  | { type: 'died'; died: InstanceDied }
  | { type: 'job'; job: JobNotice }
  /** Its group needs it no longer: it goes, unless the forge says that a job runs on it. */
  | { type: 'retire' };

/**
 * What a person wants of a group: `paused` starts no runners, `draining` also retires the idle ones. Busy ones finish in any
 * case, and demand is kept.
 */
export type GroupMode = 'active' | 'paused' | 'draining';

/**
 * A dispatcher's word to the keeper of a capped backend's places. All in it is absolute, so that it may come twice; of two,
 * the one with the higher number holds. Until the answer the group starts no runner on that backend.
 */
export interface PlacesStatement {
  backend: string;
  group: string;
  number: number;
  priority: number;
  /** Runners that exist, each of which holds a place. */
  have: number;
  /** A place is wanted for each: since when its job waits, milliseconds since the epoch; null for one kept warm. */
  wants: (number | null)[];
}

/** The keeper's word: answering statement `number`, the group may have `allowed` runners on that backend in all. */
export interface PlacesAnswer {
  backend: string;
  number: number;
  allowed: number;
}

/** What the keeper of a backend's places is told. */
export type PlacesNews =
  /** `max` null: there is no cap any more, the keeper ends. */
  { type: 'configure'; max: number | null; groups: string[] } | { type: 'statement'; statement: PlacesStatement };

export interface PlacesInput {
  backend: string;
}

export interface PlacesSnapshot {
  backend: string;
  max: number;
  groups: { group: string; priority: number; allowed: number; wants: number; oldestSince: string | null }[];
  /** Groups that have not said yet how many runners they have: nothing is given away until then. */
  silent: string[];
}

/** A waiting job of a group that was removed, for the group that serves it now. */
export interface MovedJob extends JobNeeds {
  key: string;
  jobId: number;
  runId: number;
  runAttempt: number;
  /** When it began to wait, ISO 8601. */
  since: string;
}

/** What a dispatcher knows of one job. */
export interface JobStanding {
  state: 'waiting' | 'held' | 'over' | 'running' | 'unknown';
  since: string | null;
  /** Jobs of the group that have waited longer, itself included: 1 is next. */
  position: number | null;
  runner: string | null;
  /** What it asks for, while it waits. */
  needs: JobNeeds | null;
}

export interface DispatcherInput {
  settings: GroupSettings;
}

export interface RunnerInput {
  settings: GroupSettings;
  runner: string;
}

export interface DispatcherSnapshot {
  settings: GroupSettings;
  mode: GroupMode;
  /** No longer in the configuration: drains, then ends. */
  removed: boolean;
  waiting: number;
  /** ISO 8601 */
  oldestWaitingSince: string | null;
  busy: number;
  ready: number;
  backoffUntil: string | null;
  /** Runners that wait for a place on a capped backend. */
  wantsPlaces: number;
}

/** What was made, and as what it is paid for. */
export interface CreatedInstance extends Pick<Instance, 'machine' | 'market'> {
  instanceId: string;
  /** Its backend can tag it later on. Absent: it can't, and is not asked to. */
  taggable?: true | undefined;
}

/** Activities on a backend's task queue. */
export interface BackendActivities {
  createInstance(spec: InstanceSpec): Promise<CreatedInstance>;
  /** Resolves only when the backend says that nothing of it is left. */
  deleteInstance(order: { runner: string }): Promise<void>;
  /** `alive`, `dead`, or `absent` on the backend's positive answer. */
  checkInstance(order: { runner: string }): Promise<'alive' | 'dead' | 'absent'>;
  /** Says on the instance what its runner does; `absent` on the backend's positive answer. */
  tagInstance(order: { runner: string; tags: JobTags }): Promise<'tagged' | 'absent'>;
  /** All instances of the group, dead ones that still hold resources included. */
  listInstances(order: { group: string }): Promise<InstanceSight[]>;
}

/** What a runner tells of itself at its end. */
export interface RunnerReport {
  group: string;
  outcome: RunnerOutcome;
  /** Where there was an instance. */
  use?: InstanceUse | undefined;
  life: RunnerLife;
}

/** Activities on the orchestrator's task queue. */
export interface OrchestratorActivities extends HealthActivities {
  /** Starts runner workflows; one that is already started is fine. */
  startRunners(order: { settings: GroupSettings; runners: string[] }): Promise<void>;
  removeRegistration(order: { scope: ForgeScope; runner: string }): Promise<'removed' | 'absent' | 'busy'>;
  /** Tells the dispatcher, and writes down what its instance was used for, where there was one. */
  reportGone(order: RunnerReport): Promise<void>;
  /** Asks runners to go, unless a job runs on them. */
  retireRunners(order: { group: string; runners: string[] }): Promise<void>;
  /** Gives the waiting jobs of a removed group to the groups that serve them now. */
  moveJobs(order: { from: string; jobs: MovedJob[] }): Promise<void>;
  /** Tells the keeper of a capped backend; where there is none, nothing. */
  statePlaces(statement: PlacesStatement): Promise<void>;
  /** Tells dispatchers what the keeper of a capped backend allows. */
  answerPlaces(answers: { group: string; places: PlacesAnswer }[]): Promise<void>;
  askRetirement(order: { group: string; runner: string }): Promise<'retire' | 'keep'>;
}
