import { activityInfo } from '@temporalio/activity';
import { Counter, type Registry } from 'prom-client';
import type { MovedJob } from '../../../contracts/workflows/job.ts';
import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';
import { createDeadLetterHeaders } from '../../shared/dead-letter-headers.ts';
import type { LiveConfig } from '../../shared/live-config.ts';

const ACK_TIMEOUT_MS = 5000;

/**
 * Makes a job that no group serves a dead letter. Resolves when the stream has it.
 *
 * @param from the removed group
 * @throws BatonError BUS_UNAVAILABLE
 */
export type DeadLetterJob = (job: MovedJob, from: string, reason: string) => Promise<void>;

/**
 * For waiting jobs of a removed group that no other group serves. Such a job becomes what it would be if it were queued now:
 * a dead letter NO_GROUP, which `baton status` shows and `baton explain` finds. Call it from an activity.
 */
export function createDeadLetterJob(options: { bus: Bus; live: LiveConfig; metrics: Registry }): DeadLetterJob {
  const { bus, live, metrics } = options;
  const counter = new Counter({
    registers: [metrics],
    name: 'baton_orchestrator_dead_letters_total',
    help: 'Waiting jobs of removed groups that no other group serves, by error code.',
    labelNames: ['code'] as const,
  });
  return async (job, from, reason) => {
    const code = 'NO_GROUP';
    const forge = live.current.forge.type;
    const text = `job ${job.jobId}, of the removed group ${from}: ${reason}`;
    const headers = createDeadLetterHeaders(code, text, subjects.webhook(forge, 'workflow_job'));
    // The same for each attempt of this activity; another one if the job waits in that group once more.
    const { activityId, workflowExecution } = activityInfo();
    const id = `dead-letter-${job.key}-${workflowExecution?.runId}-${activityId}`;
    const event = encode(toJobEvent(job, forge, id));
    const { duplicate } = await publishOnce(bus, subjects.dead(STREAMS.webhooks.name), event, {
      id,
      timeoutMs: ACK_TIMEOUT_MS,
      headers,
    });
    if (!duplicate) counter.inc({ code });
  };
}

/** The job as its `queued` webhook would describe it, as far as it is still known. */
function toJobEvent({ jobId, runId, runAttempt, ...job }: MovedJob, forge: string, delivery: string): JobEvent {
  const [owner = '', name = ''] = job.repository.split('/');
  return {
    version: 1,
    forge,
    delivery,
    action: 'queued',
    receivedAt: job.since,
    job: {
      id: jobId,
      runId,
      runAttempt,
      name: '',
      workflow: job.workflow,
      headBranch: null,
      labels: [...job.labels],
      conclusion: null,
      createdAt: null,
      startedAt: null,
      completedAt: null,
      url: null,
      runnerId: null,
      runnerName: null,
      runnerGroup: null,
    },
    repository: { fullName: job.repository, owner, name, private: job.private },
    organization: owner,
    installationId: null,
  };
}
