import { randomUUID } from 'node:crypto';
import type { JobNotice } from '../../contracts/workflows/job.ts';

/** What the forge says of an ordinary job, in a delivery of its own; `more` is what is special about this one. */
export function aJob(action: JobNotice['action'], jobId: number, more: Partial<JobNotice> = {}): JobNotice {
  return {
    key: `${jobId}:${more.runAttempt ?? 1}`,
    delivery: randomUUID(),
    action,
    jobId,
    runId: jobId,
    runAttempt: 1,
    repository: 'acme/hello',
    workflow: 'ci',
    private: true,
    labels: ['linux'],
    name: 'build',
    url: null,
    conclusion: null,
    runnerName: null,
    at: new Date().toISOString(),
    ...more,
  };
}
