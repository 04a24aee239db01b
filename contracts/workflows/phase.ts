/** The life of a runner (design.md). `gone` and `failed` are the ends; `failed` has a reason that a person can read. */
export const PHASES = ['provisioning', 'starting', 'idle', 'busy', 'completing', 'removing', 'gone', 'failed'] as const;

export type Phase = (typeof PHASES)[number];

/** Why a runner was removed. */
export const REMOVAL_REASONS = {
  'job-completed': 'its job completed',
  'agent-exited': 'its agent reported that the runner program ended',
  'instance-died': 'its instance died',
  'create-failed': 'its instance could not be created',
  'time-to-start': 'no job started within the time to start',
  retired: 'no longer needed by its group',
  'time-to-live': 'it reached its time to live',
  cancelled: 'a person or a service cancelled it',
  vanished: 'its workflow was terminated',
} as const;

export type RemovalReason = keyof typeof REMOVAL_REASONS;

/** How a runner's life ended: the result of its workflow and what the dispatcher is told. */
export interface RunnerOutcome {
  runner: string;
  reason: RemovalReason;
  /** Whether a job ever started on it. */
  ranJob: boolean;
  /** Whether this is a failure that will likely happen again to the next one: the group then slows down. */
  failed: boolean;
  /** One sentence for a person: the reason and what is known about it. */
  detail: string;
}
