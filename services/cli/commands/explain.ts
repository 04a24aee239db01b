import { z } from 'zod';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { formatDuration } from '../../../contracts/format.ts';
import { explainReply, type ExplainRequest, type Explanation } from '../../../contracts/messages/explain.ts';
import { PASSED_OVER_ADVICE } from '../../../contracts/workflows/passed-over.ts';
import { describePace } from '../../../contracts/workflows/pace.ts';
import { parseOptions, printOptions, UsageError } from '../lib/options.ts';
import { request, toError, withNats } from '../lib/request.ts';
import { print } from '../lib/print.ts';

const options = printOptions.extend({
  labels: z.string().optional(),
  repository: z.string().optional(),
  workflow: z.string().optional(),
  public: z.boolean().default(false),
});

type Options = z.infer<typeof options>;

/** https://github.com/OWNER/REPOSITORY/actions/runs/RUN/job/JOB, and the API's …/repos/OWNER/REPOSITORY/actions/jobs/JOB */
const PAGE = /^https?:\/\/[^/]+\/([^/]+\/[^/]+)\/actions\/runs\/\d+\/jobs?\/(\d+)/;
const API = /^https?:\/\/.+\/repos\/([^/]+\/[^/]+)\/actions\/jobs\/(\d+)/;

/**
 * `baton explain [JOB]`: prints which group takes a job, or why none does. JOB is its id or its address; without it the
 * options describe a job.
 *
 * @returns the exit code: 0 where a group takes it, 1 where none does, 2 where the job is unknown
 * @throws UsageError; BatonError CONFIG_*, BUS_*
 */
export async function explainJob(job: string | undefined, given: unknown): Promise<number> {
  const wanted = parseOptions(options, given);
  const body = parseExplainRequest(job, wanted);
  const reply = await withNats(wanted, 'observer', (bus) => {
    return request(
      bus,
      { subject: subjects.explain, body, action: 'requesting an explanation', timeoutMs: 30_000 },
      explainReply,
    );
  });
  if (!reply.ok) throw toError(reply);
  print(wanted.json ? JSON.stringify(reply, null, 2) : formatExplanation(reply, Date.now()));
  if (reply.needs === null && reply.jobStatuses.length === 0 && reply.runners.length === 0) return 2;
  const taken = reply.match ? reply.match.group !== null || reply.match.proxies : true;
  return taken || reply.runners.length > 0 ? 0 : 1;
}

/**
 * The request that the command's argument and options stand for.
 *
 * @throws UsageError
 */
function parseExplainRequest(
  job: string | undefined,
  wanted: Pick<Options, 'labels' | 'repository' | 'workflow' | 'public'>,
): ExplainRequest {
  const request: ExplainRequest = { version: 1, jobId: null, repository: wanted.repository ?? null, needs: null };
  if (job !== undefined) {
    const address = PAGE.exec(job) ?? API.exec(job);
    const id = Number(address?.[2] ?? job);
    if (!Number.isSafeInteger(id) || id <= 0) {
      throw new UsageError(`"${job}" is neither the id of a job nor its address (…/actions/runs/1/job/2)`);
    }
    return { ...request, jobId: id, repository: address?.[1] ?? request.repository };
  }
  if (wanted.repository === undefined || !/^[^/]+\/[^/]+$/.test(wanted.repository) || wanted.labels === undefined) {
    throw new UsageError('give a job, or both --repository OWNER/NAME and --labels A,B');
  }
  const labels = wanted.labels.split(',').map((label) => label.trim());
  const needs = {
    repository: wanted.repository,
    private: !wanted.public,
    labels: labels.filter((label) => label !== ''),
    workflow: wanted.workflow ?? null,
  };
  return { ...request, needs };
}

/** @param now milliseconds since the epoch */
function formatExplanation(explanation: Explanation, now: number): string {
  const { needs, source, match, forge, jobStatuses, runners, deadLetter, unanswered } = explanation;
  const lines: string[] = [];
  if (needs) {
    const labels = needs.labels.length === 0 ? 'no labels' : `labels ${needs.labels.join(', ')}`;
    const workflow = needs.workflow === null ? '' : `, workflow "${needs.workflow}"`;
    lines.push(`a job of ${needs.repository} with ${labels}${workflow} (source: ${source})`);
  }
  if (match) {
    lines.push(`${formatMatch(match)}: ${match.reason}`);
    for (const { group, fits, why } of match.verdicts) lines.push(`  ${fits ? '+' : '-'} ${group} ${why}`);
  }
  if (forge) lines.push(`the forge says: ${formatForge(forge)}`);
  for (const jobStatus of jobStatuses) lines.push(formatJobStatus(jobStatus, now));
  for (const { name, group, open } of runners) lines.push(`runner ${name} of ${group} ${open ? 'has' : 'had'} it`);
  if (deadLetter) lines.push(`dead letter of ${deadLetter.at}, ${deadLetter.code}: ${deadLetter.reason}`);
  if (lines.length === 0) {
    lines.push(
      'unknown job: no webhook received, or it finished long ago. Give its address instead of its id to ask the forge.',
    );
  }
  lines.push(...unanswered.map((who) => `not all is known: ${who}`));
  return lines.join('\n');
}

function formatMatch({ group, proxies }: NonNullable<Explanation['match']>): string {
  if (group !== null) return `group ${group} takes it`;
  return proxies ? 'no group takes it by itself' : 'no group takes it';
}

function formatForge({ action, runner, runIsOver }: NonNullable<Explanation['forge']>): string {
  if (runIsOver) return 'its run is over, so that it waits for nothing, whatever its page shows';
  return `${action}${runner === null ? '' : ` on ${runner}`}`;
}

function formatJobStatus(jobStatus: Explanation['jobStatuses'][number], now: number): string {
  const { group, state, since, position, runner, passedOver } = jobStatus;
  const waited = since === null ? '' : ` for ${formatDuration(now - Date.parse(since))}`;
  const times = passedOver === 1 ? 'once' : `${passedOver} times`;
  switch (state) {
    case 'running':
      return `${group}: it runs on ${runner ?? 'a runner'}`;
    case 'finished':
      return `${group}: it is completed, or a runner of another group has it`;
    case 'held':
      return `${group}: it waits${waited} for the approval of its environment; no runner starts before that`;
    case 'too-old':
      return `${group}: it has waited${waited}, longer than GitHub lets a job wait: no runner starts for it unless it is queued again`;
    case 'passed-over':
      return (
        `${group}: it waits${waited}; idle runners came and went without getting it, ${times}: the next starts at ` +
        `${jobStatus.nextTryAt}; ${PASSED_OVER_ADVICE}`
      );
    case 'waiting': {
      const why = [...describeObstacles(jobStatus)];
      if (passedOver > 0) why.push(`an idle runner left without getting it, ${times}: ${PASSED_OVER_ADVICE}`);
      return `${group}: it waits${waited}, number ${position ?? '?'} in line; ${why.join('; ')}`;
    }
    default:
      return state satisfies never;
  }
}

/** What may keep a waiting job from getting its runner, one clause each. */
function describeObstacles(jobStatus: Explanation['jobStatuses'][number]): string[] {
  const { mode, removed, busy, ready, max, wantedSlots, backoffUntil, pace } = jobStatus;
  const why: string[] = [`${busy} busy and ${ready} other runners of at most ${max}`];
  if (removed) why.push('the group is no longer in the configuration: its jobs move to other groups');
  else if (mode !== 'active') why.push(`the group is ${mode}`);
  if (wantedSlots > 0) why.push('all slots of the backend are taken');
  if (pace !== null) why.push(describePace(pace, busy + ready));
  if (backoffUntil !== null) why.push(`starts are paused after failures until ${backoffUntil}`);
  return why;
}
