import type { Client } from '@temporalio/client';
import { RUNNER_WORKFLOW } from '../../../contracts/workflows/runner.ts';
import {
  DISPATCHER_JOB_STATUS,
  DISPATCHER_STATUS,
  type DispatcherSnapshot,
  dispatcherWorkflowId,
  type JobStatus,
} from '../../../contracts/workflows/dispatcher.ts';
import { type JobNeeds } from '../../../contracts/workflows/job.ts';
import type { Bus } from '../../../contracts/lib/nats.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { Forge, ForgeJob } from '../../../contracts/ports/forge.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { explainRequest, type ExplainRequest, type Explanation } from '../../../contracts/messages/explain.ts';
import { subjects } from '../../../contracts/messages/subjects.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import { matchConfig, toJobNeeds } from '../../shared/matching/match.ts';
import type { RequestHandler } from '../../shared/request-server.ts';
import { DeadLetterView } from './dead-letter-view.ts';

const QUERY_TIMEOUT_MS = 3000;
/** How many dead letters are searched for a job. */
const MAX_DEAD_LETTERS = 500;
const MAX_RUNNERS = 5;

export interface ExplainOptions {
  bus: Bus;
  client: Client;
  forge: Forge;
  live: LiveConfig;
  log: Logger;
}

/** Explains which group takes a job, or why none does. Asks all that may know the job; changes nothing. */
export function createExplainHandler(options: ExplainOptions): RequestHandler<ExplainRequest> {
  const deadLetters = new DeadLetterView(options.bus);
  return {
    name: 'explain request',
    subject: subjects.explain,
    queueGroup: 'orchestrator',
    schema: explainRequest,
    handle: (request) => explain(options, deadLetters, request),
  };
}

async function explain(
  options: ExplainOptions,
  deadLetters: DeadLetterView,
  { jobId, repository, needs: givenNeeds }: ExplainRequest,
): Promise<Explanation> {
  const { client, live } = options;
  const [jobStatuses, runners, dead, forgeJob] = await Promise.all([
    jobId === null ? [] : findJobStatuses(options, jobId),
    jobId === null ? [] : findRunners(client, jobId),
    jobId === null ? undefined : deadLetters.findByJob(jobId, MAX_DEAD_LETTERS),
    jobId === null || repository === null ? undefined : findForgeJob(options, repository, jobId),
  ]);
  const [needs, source] = findFirstKnown([
    [givenNeeds, 'the request'],
    [jobStatuses.find(({ needs }) => needs !== null)?.needs, 'the group'],
    [forgeJob && toJobNeeds(forgeJob), 'the forge'],
    [dead && toJobNeeds(dead.event), 'the dead letters'],
  ]);
  const match = needs && matchConfig(needs, live.current);
  return {
    ok: true,
    needs: needs && { ...needs, labels: [...needs.labels] },
    source,
    forge: forgeJob ? { action: forgeJob.action, runner: forgeJob.job.runnerName } : null,
    match: match && {
      group: match.group?.name ?? null,
      hosted: match.hosted,
      proxies: match.proxies,
      reason: match.reason,
      verdicts: match.verdicts,
    },
    jobStatuses: jobStatuses.map(({ needs: _needs, ...jobStatus }) => jobStatus),
    runners,
    deadLetter: dead?.deadLetter ?? null,
  };
}

type GroupJobStatus = Explanation['jobStatuses'][number] & { needs: JobNeeds | null };

/** The job's status in each group whose dispatcher knows it; a dispatcher that doesn't answer is left out. */
async function findJobStatuses({ client, live, log }: ExplainOptions, jobId: number): Promise<GroupJobStatus[]> {
  const found = await Promise.all(
    live.current.groups.map(async ({ name: group }): Promise<GroupJobStatus | undefined> => {
      const handle = client.workflow.getHandle(dispatcherWorkflowId(group));
      try {
        return await client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, async () => {
          const { state, ...jobStatus } = await handle.query<JobStatus, [number]>(DISPATCHER_JOB_STATUS, jobId);
          if (state === 'unknown') return undefined;
          const snapshot = await handle.query<DispatcherSnapshot>(DISPATCHER_STATUS);
          const { mode, busy, ready, settings, wantedSlots, backoffUntil, pace } = snapshot;
          return { group, mode, state, ...jobStatus, busy, ready, max: settings.max, wantedSlots, backoffUntil, pace };
        });
      } catch (error) {
        log.warn({ group, job: jobId, reason: getErrorMessage(error) }, 'dispatcher query about a job failed');
        return undefined;
      }
    }),
  );
  return found.filter((jobStatus) => jobStatus !== undefined);
}

async function findRunners(client: Client, jobId: number): Promise<Explanation['runners']> {
  const query = `WorkflowType = '${RUNNER_WORKFLOW}' AND BatonJobId = '${jobId}'`;
  const runners: Explanation['runners'] = [];
  for await (const { workflowId, status } of client.workflow.list({ query })) {
    const [, group = '', name = ''] = workflowId.split('/');
    if (status.name !== 'CONTINUED_AS_NEW') runners.push({ name, group, open: status.name === 'RUNNING' });
    if (runners.length === MAX_RUNNERS) break;
  }
  return runners;
}

/** Undefined where the forge has no such job, or doesn't answer: the other sources may be enough. */
async function findForgeJob(
  { forge, log }: ExplainOptions,
  repository: string,
  jobId: number,
): Promise<ForgeJob | undefined> {
  try {
    return await forge.getJob(repository, jobId);
  } catch (error) {
    log.warn({ repository, job: jobId, reason: getErrorMessage(error) }, 'forge query about a job failed');
    return undefined;
  }
}

function findFirstKnown(
  sources: [needs: JobNeeds | null | undefined, source: string][],
): [JobNeeds | null, string | null] {
  for (const [needs, source] of sources) if (needs) return [needs, source];
  return [null, null];
}
