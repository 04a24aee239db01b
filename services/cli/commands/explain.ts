import { z } from 'zod';
import { subjects } from '../../../contracts/messages/subjects.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { formatDuration } from '../../../contracts/format.ts';
import { explainReply, type ExplainRequest, type Explanation } from '../../../contracts/messages/explain.ts';
import { request, withNats } from '../lib/request.ts';

const options = z.object({
  config: z.string().optional(),
  credentials: z.string().optional(),
  json: z.boolean().default(false),
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
 * `baton explain [JOB]`: says which group takes a job, or why none does. JOB is its id or its address; or the options tell
 * what a job would ask for.
 *
 * @returns the exit code: 0 where a group takes it, 1 where none does, 2 where nobody knows the job
 * @throws BatonError CONFIG_INVALID, CONFIG_*, BUS_*
 */
export async function explainJob(job: string | undefined, given: unknown): Promise<number> {
  const wanted = options.parse(given);
  const body = parseExplainRequest(job, wanted);
  const reply = await withNats(wanted, 'observer', (bus) => {
    return request(
      bus,
      { subject: subjects.explain, body, doing: 'asking about a job', timeoutMs: 30_000 },
      explainReply,
    );
  });
  if (!reply.ok) throw new BatonError('INTERNAL', reply.message);
  console.log(wanted.json ? JSON.stringify(reply, null, 2) : formatExplanation(reply, Date.now()));
  if (reply.needs === null && reply.jobStatuses.length === 0 && reply.runners.length === 0) return 2;
  const taken = reply.match ? reply.match.group !== null || reply.match.proxies : true;
  return taken || reply.runners.length > 0 ? 0 : 1;
}

/**
 * What is asked, of the command's words.
 *
 * @throws BatonError CONFIG_INVALID
 */
export function parseExplainRequest(
  job: string | undefined,
  wanted: Pick<Options, 'labels' | 'repository' | 'workflow' | 'public'>,
): ExplainRequest {
  const request: ExplainRequest = { version: 1, jobId: null, repository: wanted.repository ?? null, needs: null };
  if (job !== undefined) {
    const address = PAGE.exec(job) ?? API.exec(job);
    const id = Number(address?.[2] ?? job);
    if (!Number.isSafeInteger(id) || id <= 0) {
      throw new BatonError(
        'CONFIG_INVALID',
        `"${job}" is neither the id of a job nor its address (…/actions/runs/1/job/2)`,
      );
    }
    return { ...request, jobId: id, repository: address?.[1] ?? request.repository };
  }
  if (wanted.repository === undefined || !/^[^/]+\/[^/]+$/.test(wanted.repository) || wanted.labels === undefined) {
    throw new BatonError('CONFIG_INVALID', 'give a job, or --repository OWNER/NAME and --labels A,B');
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

/** The explanation as lines for a person; `now` in milliseconds since the epoch. */
export function formatExplanation(explanation: Explanation, now: number): string {
  const { needs, source, match, forge, jobStatuses: standings, runners, deadLetter } = explanation;
  const lines: string[] = [];
  if (needs) {
    const labels = needs.labels.length === 0 ? 'no labels' : `labels ${needs.labels.join(', ')}`;
    const workflow = needs.workflow === null ? '' : `, workflow "${needs.workflow}"`;
    lines.push(`a job of ${needs.repository} with ${labels}${workflow} (says ${source})`);
  }
  if (match) {
    lines.push(
      `${match.group === null ? (match.proxies ? 'no group takes it by itself' : 'no group takes it') : `group ${match.group} takes it`}: ${match.reason}`,
    );
    for (const { group, fits, why } of match.verdicts) lines.push(`  ${fits ? '+' : '-'} ${group} ${why}`);
  }
  if (forge) lines.push(`the forge says: ${forge.action}${forge.runner === null ? '' : ` on ${forge.runner}`}`);
  for (const standing of standings) lines.push(formatJobStatus(standing, now));
  for (const { name, group, open } of runners) lines.push(`runner ${name} of ${group} ${open ? 'has' : 'had'} it`);
  if (deadLetter) lines.push(`dead letter of ${deadLetter.at}, ${deadLetter.code}: ${deadLetter.reason}`);
  if (lines.length === 0) {
    lines.push(
      'nobody here has heard of that job: its webhook did not come, or it is long over; give its address, and the forge is asked',
    );
  }
  return lines.join('\n');
}

function formatJobStatus(standing: Explanation['jobStatuses'][number], now: number): string {
  const { group, state, since, position, runner, mode, busy, ready, max, wantedSlots, backoffUntil } = standing;
  const waited = since === null ? '' : ` for ${formatDuration(now - Date.parse(since))}`;
  switch (state) {
    case 'running':
      return `${group}: it runs on ${runner ?? 'a runner'}`;
    case 'finished':
      return `${group}: it is over, or another group’s runner has it`;
    case 'held':
      return `${group}: it waits${waited} for its environment to be approved; no runner is made before that`;
    default: {
      const why: string[] = [`${busy} busy and ${ready} other runners of at most ${max}`];
      if (mode !== 'active') why.push(`the group is ${mode}`);
      if (wantedSlots > 0) why.push('all places of the backend are taken');
      if (backoffUntil !== null) why.push(`starts are held back after failures until ${backoffUntil}`);
      return `${group}: it waits${waited}, number ${position ?? '?'} in line; ${why.join('; ')}`;
    }
  }
}
