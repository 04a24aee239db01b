import type { ForgeScope } from './forge.ts';
import type { HealthActivities, InstanceSight } from './health.ts';
import type { InstanceSpec } from './instance.ts';
import type { JobAction } from './messages/job-event.ts';
import type { HookJob, InstanceDied, RunnerSignal } from './messages/runner-signal.ts';
import type { RunnerOutcome } from './runner/phase.ts';

/** Names by which services, workflows and people address the actors. Pure: workflow code imports this. */

export const WORKFLOW = { runner: 'runner', dispatcher: 'dispatcher', healthCheck: 'healthCheck' } as const;

export const runnerWorkflowId = (group: string, runner: string): string => `runner/${group}/${runner}`;
export const dispatcherWorkflowId = (group: string): string => `group/${group}`;
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
export const DISPATCHER_STATUS = 'status';
export const DISPATCHER_MAY_RETIRE = 'mayRetire';
export const DISPATCHER_ROSTER = 'roster';

/** All are of type Keyword. */
export const SEARCH_ATTRIBUTES = [
  'BatonGroup',
  'BatonForge',
  'BatonRepository',
  'BatonPhase',
  'BatonBackend',
  'BatonJobId',
] as const;

/** Where a runner's workflow keeps what its job used, one clause for people: its memo shows in lists. */
export const RESOURCES_MEMO = 'BatonResources';

/** A job as the actors know it. */
export interface JobNotice {
  /** Job id and attempt: `123:1`. */
  key: string;
  /** The delivery it came with: counts what is said once. */
  delivery: string;
  action: JobAction;
  jobId: number;
  runId: number;
  runAttempt: number;
  repository: string;
  workflow: string | null;
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
  timeToStartMs: number;
  timeToLiveMs: number;
  /** All of {@link InstanceSpec} that is the same for every runner of the group. */
  instance: Omit<InstanceSpec, 'manager' | 'group' | 'runner' | 'expiresAt'>;
}

/** What a dispatcher is told, in batches; each item is idempotent and may come in any order. */
export type DispatcherNews =
  | { type: 'configure'; settings: GroupSettings }
  | { type: 'job'; job: JobNotice }
  /** A runner's hook says that a job started on it. */
  | { type: 'busy'; runner: string; job: HookJob }
  | { type: 'gone'; outcome: RunnerOutcome };

/** What a runner is told, in batches; each item is idempotent and may come in any order. */
export type RunnerNews =
  { type: 'signal'; signal: RunnerSignal } | { type: 'died'; died: InstanceDied } | { type: 'job'; job: JobNotice };

export interface DispatcherInput {
  settings: GroupSettings;
}

export interface RunnerInput {
  settings: GroupSettings;
  runner: string;
}

export interface DispatcherSnapshot {
  settings: GroupSettings;
  waiting: number;
  /** ISO 8601 */
  oldestWaitingSince: string | null;
  busy: number;
  ready: number;
  backoffUntil: string | null;
}

/** Activities on a backend's task queue. */
export interface BackendActivities {
  createInstance(spec: InstanceSpec): Promise<{ instanceId: string }>;
  /** Resolves only when the backend says that nothing of it is left. */
  deleteInstance(order: { runner: string }): Promise<void>;
  /** `alive`, `dead`, or `absent` on the backend's positive answer. */
  checkInstance(order: { runner: string }): Promise<'alive' | 'dead' | 'absent'>;
  /** All instances of the group, dead ones that still hold resources included. */
  listInstances(order: { group: string }): Promise<InstanceSight[]>;
}

/** Activities on the orchestrator's task queue. */
export interface OrchestratorActivities extends HealthActivities {
  /** Starts runner workflows; one that is already started is fine. */
  startRunners(order: { settings: GroupSettings; runners: string[] }): Promise<void>;
  removeRegistration(order: { scope: ForgeScope; runner: string }): Promise<'removed' | 'absent' | 'busy'>;
  reportGone(order: { group: string; outcome: RunnerOutcome }): Promise<void>;
  askRetirement(order: { group: string; runner: string }): Promise<'retire' | 'keep'>;
}
