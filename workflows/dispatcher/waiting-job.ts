import { MAX_HELD_MS, MAX_QUEUED_MS, type JobNeeds } from '../../contracts/workflows/job.ts';
import { computeDelay, type GrowingDelay } from '../lib/growing-delay.ts';

/** How long a job that runners passed over twice or more does not count. After the first time it counts at once. */
const PASSED_OVER_DELAY_MS: GrowingDelay = { first: 10 * 60_000, max: 2 * 3_600_000 };

/** A job that waits for a runner. */
export interface WaitingJob {
  key: string;
  jobId: number;
  run: string;
  /** When the forge queued it last, or held it, as far as the events tell: milliseconds since the epoch. */
  since: number;
  /** Ids of the deliveries about it that were applied. */
  deliveries: string[];
  /** How many of these had the action `queued`. */
  queued: number;
  /** Held by an environment's protection rules: no demand yet. */
  held: boolean;
  /** How often an idle runner that was there for it got no job. */
  passedOver: number;
  /** It is no demand before this time: milliseconds since the epoch. */
  notBefore: number;
  needs: JobNeeds;
}

/** Applies that the forge queued the job at that time; a repeated delivery has no effect. */
export function applyQueued(job: WaitingJob, delivery: string, at: number): void {
  if (job.deliveries.includes(delivery)) return;
  job.deliveries.push(delivery);
  job.queued += 1;
  job.held = false;
  // A delivery that was late changes nothing about the last one.
  job.since = Math.max(job.since, at);
  job.passedOver = 0;
  job.notBefore = job.since;
}

/** Applies that protection rules hold the job since that time; a repeated delivery has no effect. */
export function applyHeld(job: WaitingJob, delivery: string, at: number): void {
  if (job.deliveries.includes(delivery)) return;
  job.deliveries.push(delivery);
  // A job with a protected environment is queued twice: before the protection and after it. If both events have arrived already,
  // this one is late and must not hold the job.
  if (job.queued >= 2) return;
  job.held = true;
  job.since = Math.max(job.since, at);
}

/** Whether the job can't wait on the forge any more, whatever its events say. */
export function isTooOld({ held, since }: WaitingJob, now: number): boolean {
  return now - since > (held ? MAX_HELD_MS : MAX_QUEUED_MS);
}

/** Whether the job waits for a runner, and is old enough for nothing else. */
export function isWaiting(job: WaitingJob, now: number): boolean {
  return !job.held && !isTooOld(job, now);
}

/** Whether the job needs a runner now. */
export function isDue(job: WaitingJob, now: number): boolean {
  return isWaiting(job, now) && now >= job.notBefore;
}

/** Applies that a runner that existed since that time, and was idle, got no job. */
export function applyPassedOver(job: WaitingJob, runnerSince: number, now: number): void {
  // Runners that were started for the same try count once.
  if (!isDue(job, now) || runnerSince < job.notBefore) return;
  job.passedOver += 1;
  job.notBefore = now + (job.passedOver === 1 ? 0 : computeDelay(PASSED_OVER_DELAY_MS, job.passedOver - 2));
}
