import { activityInfo } from '@temporalio/activity';
import { Counter, type Registry } from 'prom-client';
import type { MovedJob } from '../../../contracts/workflows/job.ts';
import { encode, type Bus } from '../../../contracts/lib/nats.ts';
import { publishOnce } from '../../../contracts/lib/publish-once.ts';
import { STREAMS } from '../../../contracts/messages/streams.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { JobEvent } from '../../../contracts/messages/job-event.ts';
import { deadLetterHeaders } from '../../shared/dead-letter-headers.ts';

const ACK_TIMEOUT_MS = 5000;

/** Puts a job that nobody serves with the dead letters; resolves when the stream has it. */
export type LetGo = (job: MovedJob, from: string, reason: string) => Promise<void>;

/**
 * A waiting job of a removed group that no other one serves becomes what it would be if it were queued now: a dead letter
 * NO_GROUP, which people see and `baton explain` finds.
 *
 * @param forge the forge's type: `github`
 */
export function letterWriter({ bus, forge, metrics }: { bus: Bus; forge: () => string; metrics: Registry }): LetGo {
  const counter = new Counter({
    registers: [metrics],
    name: 'baton_orchestrator_dead_letters_total',
    help: 'Waiting jobs of removed groups that no other group serves, by error code.',
    labelNames: ['code'] as const,
  });
  return async (job, from, reason) => {
    const code = 'NO_GROUP';
    const said = `job ${job.jobId}, of the removed group ${from}: ${reason}`;
    const meta = deadLetterHeaders(code, said, subjects.webhook(forge(), 'workflow_job'));
    // The same for each attempt of this activity, and another one if the job waits in that group once more.
    const { activityId, workflowExecution } = activityInfo();
    const id = `let-go-${job.key}-${workflowExecution?.runId}-${activityId}`;
    const { duplicate } = await publishOnce(
      bus,
      subjects.dead(STREAMS.webhooks.name),
      encode(eventOf(job, forge(), id)),
      { id, timeoutMs: ACK_TIMEOUT_MS, headers: meta },
    );
    if (!duplicate) counter.inc({ code });
  };
}

/** What is still known of it, as the forge's webhook would say it. */
function eventOf({ jobId, runId, runAttempt, ...job }: MovedJob, forge: string, delivery: string): JobEvent {
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
