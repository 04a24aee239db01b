import type { Client } from '@temporalio/client';
import { isMissing } from '../../../activities/lib/missing.ts';
import { RUNNER_WORKFLOW } from '../../../contracts/workflows/runner.ts';
import {
  DISPATCHER_JOB_STATUS,
  DISPATCHER_STATUS,
  DISPATCHER_WORKFLOW,
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

const QUERY_TIMEOUT_MS = 10_000;
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
  const unanswered: string[] = [];
  const [jobStatuses, runners, dead, forgeJob] = await Promise.all([
    jobId === null ? [] : findJobStatuses(options, jobId, unanswered),
    jobId === null ? [] : findRunners(client, jobId),
    jobId === null ? undefined : deadLetters.findByJob(jobId, MAX_DEAD_LETTERS),
    jobId === null || repository === null ? undefined : findForgeJob(options, { repository, jobId }, unanswered),
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
    forge: forgeJob
      ? { action: forgeJob.action, runner: forgeJob.job.runnerName, runIsOver: forgeJob.runIsOver }
      : null,
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
    unanswered,
  };
}

type GroupJobStatus = Explanation['jobStatuses'][number] & { needs: JobNeeds | null };

/** The job's status in each group whose dispatcher knows it, of removed groups too. @param unanswered gets who did not answer */
async function findJobStatuses(
  { client, live, log }: ExplainOptions,
  jobId: number,
  unanswered: string[],
): Promise<GroupJobStatus[]> {
  // The list lags a little behind, and Temporal's visibility may be down.
  const groups = new Set(live.current.groups.map(({ name }) => name));
  try {
    for (const group of await listDispatchers(client)) groups.add(group);
  } catch (error) {
    log.warn({ job: jobId, reason: getErrorMessage(error) }, 'list of dispatchers failed');
  }
  const found = await Promise.all(
    [...groups].map(async (group): Promise<GroupJobStatus | undefined> => {
      const handle = client.workflow.getHandle(dispatcherWorkflowId(group));
      try {
        return await client.withDeadline(Date.now() + QUERY_TIMEOUT_MS, async () => {
          const { state, ...jobStatus } = await handle.query<JobStatus, [number]>(DISPATCHER_JOB_STATUS, jobId);
          if (state === 'unknown') return undefined;
          const snapshot = await handle.query<DispatcherSnapshot>(DISPATCHER_STATUS);
          const { mode, removed, busy, ready, settings, wantedSlots, backoffUntil, pace } = snapshot;
          const numbers = { busy, ready, max: settings.max, wantedSlots, backoffUntil, pace };
          return { group, mode, removed, state, ...jobStatus, ...numbers };
        });
      } catch (error) {
        if (isMissing(error)) return undefined;
        log.warn({ group, job: jobId, reason: getErrorMessage(error) }, 'dispatcher query about a job failed');
        unanswered.push(`the dispatcher of ${group} did not answer`);
        return undefined;
      }
    }),
  );
  return found.filter((jobStatus) => jobStatus !== undefined);
}

async function listDispatchers(client: Client): Promise<string[]> {
  const query = `WorkflowType = '${DISPATCHER_WORKFLOW}' AND ExecutionStatus = 'Running'`;
  const groups: string[] = [];
  for await (const { workflowId } of client.workflow.list({ query })) groups.push(workflowId.slice('group/'.length));
  return groups;
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
  { repository, jobId }: { repository: string; jobId: number },
  unanswered: string[],
): Promise<ForgeJob | undefined> {
  try {
    return await forge.getJob(repository, jobId);
  } catch (error) {
    log.warn({ repository, job: jobId, reason: getErrorMessage(error) }, 'forge query about a job failed');
    unanswered.push(`the forge did not answer: ${getErrorMessage(error)}`);
    return undefined;
  }
}

function findFirstKnown(
  sources: [needs: JobNeeds | null | undefined, source: string][],
): [JobNeeds | null, string | null] {
  for (const [needs, source] of sources) if (needs) return [needs, source];
  return [null, null];
}
