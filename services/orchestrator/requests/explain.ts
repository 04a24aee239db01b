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
import { decode, type Bus } from '../../../contracts/lib/nats.ts';
import { BatonError, messageOf } from '../../../contracts/errors.ts';
import type { Forge, ForgeJob } from '../../../contracts/ports/forge.ts';
import type { Logger } from '../../../contracts/lib/log.ts';
import { explainRequest, type Explanation } from '../../../contracts/messages/explain.ts';
import type { LiveConfig } from '../../shared/live-config.ts';
import { matchConfig, toJobNeeds } from '../../shared/matching/match.ts';
import { DeadLetterView } from './dead-letter-view.ts';

const QUERY_MS = 3000;
/** Dead letters that are looked through for a job. */
const DEAD_LETTERS = 500;
const RUNNERS_SHOWN = 5;

export interface ExplainOptions {
  bus: Bus;
  client: Client;
  forge: Forge;
  live: LiveConfig;
  log: Logger;
}

/** Says which group takes a job, or why none does, from all that know something of it. Changes nothing. */
export function explainDoor(options: ExplainOptions) {
  const { client, live } = options;
  const deadLetters = new DeadLetterView(options.bus);

  return async (data: Uint8Array): Promise<Explanation> => {
    const request = explainRequest.safeParse(decode(data));
    if (!request.success) {
      throw new BatonError('MESSAGE_INVALID', 'reading a request on explain: not of its documented shape');
    }
    const { jobId, repository } = request.data;
    const [standings, runners, dead, told] = await Promise.all([
      jobId === null ? [] : standingsOf(options, jobId),
      jobId === null ? [] : runnersOf(client, jobId),
      jobId === null ? undefined : deadLetters.ofJob(jobId, DEAD_LETTERS),
      jobId === null || repository === null ? undefined : askForge(options, repository, jobId),
    ]);
    const [needs, source] = known([
      [request.data.needs, 'you'],
      [standings.find(({ needs }) => needs !== null)?.needs, 'the group'],
      [told && toJobNeeds(told), 'the forge'],
      [dead && toJobNeeds(dead.event), 'the dead letters'],
    ]);
    const match = needs && matchConfig(needs, live.current);
    return {
      ok: true,
      needs: needs && { ...needs, labels: [...needs.labels] },
      source,
      forge: told ? { action: told.action, runner: told.job.runnerName } : null,
      match: match && {
        group: match.group?.name ?? null,
        hosted: match.hosted,
        proxies: match.proxies,
        reason: match.reason,
        verdicts: match.verdicts,
      },
      jobStatuses: standings.map(({ needs: _needs, ...standing }) => standing),
      runners,
      deadLetter: dead?.letter ?? null,
    };
  };
}

type Standing = Explanation['jobStatuses'][number] & { needs: JobNeeds | null };

/** What the dispatchers know of it; those that don't answer are left out. */
async function standingsOf({ client, live, log }: ExplainOptions, jobId: number): Promise<Standing[]> {
  const found = await Promise.all(
    live.current.groups.map(async ({ name: group }): Promise<Standing | undefined> => {
      const handle = client.workflow.getHandle(dispatcherWorkflowId(group));
      try {
        return await client.withDeadline(Date.now() + QUERY_MS, async () => {
          const { state, ...standing } = await handle.query<JobStatus, [number]>(DISPATCHER_JOB_STATUS, jobId);
          if (state === 'unknown') return undefined;
          const snapshot = await handle.query<DispatcherSnapshot>(DISPATCHER_STATUS);
          const { mode, busy, ready, settings, wantedSlots, backoffUntil } = snapshot;
          return { group, mode, state, ...standing, busy, ready, max: settings.max, wantedSlots, backoffUntil };
        });
      } catch (error) {
        log.warn({ group, reason: messageOf(error) }, 'the dispatcher did not say what it knows of a job');
        return undefined;
      }
    }),
  );
  return found.filter((standing) => standing !== undefined);
}

async function runnersOf(client: Client, jobId: number): Promise<Explanation['runners']> {
  const query = `WorkflowType = '${RUNNER_WORKFLOW}' AND BatonJobId = '${jobId}'`;
  const runners: Explanation['runners'] = [];
  for await (const { workflowId, status } of client.workflow.list({ query })) {
    const [, group = '', name = ''] = workflowId.split('/');
    if (status.name !== 'CONTINUED_AS_NEW') runners.push({ name, group, open: status.name === 'RUNNING' });
    if (runners.length === RUNNERS_SHOWN) break;
  }
  return runners;
}

/** Undefined where the forge has no such job, or gives no answer: the rest may still say enough. */
async function askForge(
  { forge, log }: ExplainOptions,
  repository: string,
  jobId: number,
): Promise<ForgeJob | undefined> {
  try {
    return await forge.getJob(repository, jobId);
  } catch (error) {
    log.warn({ repository, job: jobId, reason: messageOf(error) }, 'the forge did not say what it knows of a job');
    return undefined;
  }
}

/** The first that is known, and who told it. */
function known(sources: [needs: JobNeeds | null | undefined, source: string][]): [JobNeeds | null, string | null] {
  for (const [needs, source] of sources) if (needs) return [needs, source];
  return [null, null];
}
