import { createHash } from 'node:crypto';
import type { JobContext } from '../messages/delegation.ts';

type Identity = Pick<JobContext, 'repository' | 'runId' | 'runAttempt' | 'jobId' | 'runnerName' | 'trackingId'>;

/** A delegation's id, derived from its job: the same job always has the same id. 26 characters of [a-z0-9-]. */
export function createDelegationId(job: Identity): string {
  const { repository, runId, runAttempt, jobId, runnerName, trackingId } = job;
  const parts = [repository.toLowerCase(), runId, runAttempt, jobId, runnerName, trackingId];
  return `d-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 24)}`;
}

export const DELEGATION_ID = /^d-[0-9a-f]{24}$/;
