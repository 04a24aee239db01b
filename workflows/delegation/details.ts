import type { DelegationInput } from '../../contracts/workflows/delegation.ts';
import { dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import { factTable, LAST_LINES, plain, table, workflowLink } from '../lib/markdown.ts';

const ICONS = { queued: '◔', running: '●', completed: '✓', failed: '✗' } as const;

/** One step that was taken, for people. */
export interface Step {
  at: string;
  what: string;
}

/** A delegation's current details in Temporal's UI, markdown. */
export function delegationDetails(input: DelegationInput, job: DelegatedJob, steps: readonly Step[]): string {
  const { group } = input.proxies;
  const rows: [string, string][] = [
    ['Job', job.url ? `[${plain(job.jobId)}](${job.url})` : plain(job.jobId)],
    ['Repository', plain(job.repository)],
    ['Run', `${job.runId}, handed over in attempt ${job.runAttempt}${job.attempt ? `, now in ${job.attempt}` : ''}`],
    ['Proxy', plain(job.runnerName)],
    ['Group', workflowLink(group, dispatcherWorkflowId(group))],
  ];
  if (job.runner) rows.push(['Runner', workflowLink(job.runner, runnerWorkflowId(group, job.runner))]);
  if (job.containerId) rows.push(['Instance', `\`${plain(job.containerId.slice(0, 40))}\``]);
  if (job.conclusion) rows.push(['Conclusion', plain(job.conclusion)]);
  const lines = [`### ${ICONS[job.status]} ${job.status}: ${plain(job.detail)}`, '', ...factTable(rows)];
  lines.push('', '**Steps** (UTC)', '', ...table(steps.map(({ at, what }) => [`\`${at.slice(0, 23)}\``, plain(what)])));
  return [...lines, ...LAST_LINES].join('\n');
}
