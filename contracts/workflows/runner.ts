import type { InstanceDied, RunnerSignal } from '../messages/runner-signal.ts';
import type { GroupSettings } from './group-settings.ts';
import type { InstanceUse } from './instance-use.ts';
import type { JobNotice } from './job.ts';
import type { RunnerOutcome } from './phase.ts';
import type { RunnerLife } from './runner-life.ts';

/** All that the runner workflow takes and answers. Pure: workflow code imports this. */

export const RUNNER_WORKFLOW = 'runner';

export const runnerWorkflowId = (group: string, runner: string): string => `runner/${group}/${runner}`;

export interface RunnerInput {
  settings: GroupSettings;
  runner: string;
}

/** Signal; its argument is a batch: {@link RunnerEvent}[]. */
export const RUNNER_EVENTS = 'runnerEvents';

/** What happens to a runner. Each event is idempotent and may arrive in any order. */
export type RunnerEvent =
  | { type: 'signal'; signal: RunnerSignal }
  | { type: 'died'; died: InstanceDied }
  | { type: 'job'; job: JobNotice }
  /** Its group no longer needs it: it is removed, unless the forge says that it runs a job. */
  | { type: 'retire' }
  /** The forge has no registration of it any more, so that it gets no job. `at`: ISO 8601. */
  | { type: 'unregistered'; at: string };

/** Update; resolves when the runner may be registered with the forge. */
export const REGISTER_RUNNER = 'registerRunner';

/** Query; answers why the runner may not be registered, or null if it may. It adds nothing to the history. */
export const REGISTRATION_REFUSAL = 'registrationRefusal';

/** Query; answers {@link RunnerInstance}. */
export const RUNNER_INSTANCE = 'runnerInstance';

/** A runner's instance and how its program ended. */
export interface RunnerInstance {
  instanceId: string | null;
  /** Set once the forge's runner program has ended. */
  exited: { code: number | null; logTail: string } | null;
  /** Why the runner failed, a clause for a person; null unless it failed. */
  failure: string | null;
}

/** What a runner reports at its end. */
export interface RunnerReport {
  group: string;
  outcome: RunnerOutcome;
  /** Absent where there was no instance. */
  use?: InstanceUse | undefined;
  life: RunnerLife;
}

/** The memo field with what the job used, one clause for a person: Temporal shows memos in lists. */
export const RESOURCES_MEMO = 'BatonResources';
