/**
 * The phases of a runner's life, in order. `gone` and `failed` are the ends; `failed` has a reason for people to read. `lingering`: its
 * instance is gone and its slot is free, but the forge has not let go of its registration yet; most runners skip it.
 */
export const PHASES = [
  'provisioning',
  'starting',
  'idle',
  'busy',
  'completing',
  'removing',
  'lingering',
  'gone',
  'failed',
] as const;

export type Phase = (typeof PHASES)[number];

/** Why a runner was removed. */
export const REMOVAL_REASONS = {
  'job-completed': 'its job completed',
  'agent-exited': 'its agent reported that the runner program ended',
  'instance-died': 'its instance died',
  'create-failed': 'its instance could not be created',
  'time-to-start': 'no job started within the time to start',
  retired: 'no longer needed by its group',
  renewed: 'too little of its time to live was left for a job',
  unregistered: 'the forge no longer had its registration',
  'time-to-live': 'it reached its time to live',
  cancelled: 'a user or a service cancelled it',
  vanished: 'its workflow was terminated',
} as const;

export type RemovalReason = keyof typeof REMOVAL_REASONS;

/** How a runner's life ended: the result of its workflow, also sent to the dispatcher. */
export interface RunnerOutcome {
  runner: string;
  reason: RemovalReason;
  /** Whether a job ever started on it. */
  ranJob: boolean;
  /** Whether this failure will probably happen to the next runner, too: the group then starts runners more slowly. */
  failed: boolean;
  /** The reason and what is known about it, as one sentence for people to read. */
  detail: string;
}
