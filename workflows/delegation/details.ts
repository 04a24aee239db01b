import type { DelegationInput } from '../../contracts/workflows/delegation.ts';
import { dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import { runnerWorkflowId } from '../../contracts/workflows/runner.ts';
import type { DelegatedJob } from '../../contracts/messages/delegation.ts';
import { renderFactTable, LAST_LINES, escapeMarkdown, renderTable, renderWorkflowLink } from '../lib/markdown.ts';

const ICONS = { queued: '◔', running: '●', completed: '✓', failed: '✗' } as const;

/** One step of a delegation, for people to read. */
export interface Step {
  at: string;
  what: string;
}

/** A delegation's current details in Temporal's UI, markdown. */
export function renderDelegationDetails(input: DelegationInput, job: DelegatedJob, steps: readonly Step[]): string {
  const { group } = input.proxies;
  const rows: [string, string][] = [
    ['Job', job.url ? `[${escapeMarkdown(job.jobId)}](${job.url})` : escapeMarkdown(job.jobId)],
    ['Repository', escapeMarkdown(job.repository)],
    ['Run', `${job.runId}, handed over in attempt ${job.runAttempt}${job.attempt ? `, now in ${job.attempt}` : ''}`],
    ['Proxy', escapeMarkdown(job.runnerName)],
    ['Group', renderWorkflowLink(group, dispatcherWorkflowId(group))],
  ];
  if (job.runner) rows.push(['Runner', renderWorkflowLink(job.runner, runnerWorkflowId(group, job.runner))]);
  if (job.containerId) rows.push(['Instance', `\`${escapeMarkdown(job.containerId.slice(0, 40))}\``]);
  if (job.conclusion) rows.push(['Conclusion', escapeMarkdown(job.conclusion)]);
  const lines = [`### ${ICONS[job.status]} ${job.status}: ${escapeMarkdown(job.detail)}`, '', ...renderFactTable(rows)];
  lines.push(
    '',
    '**Steps** (UTC)',
    '',
    ...renderTable(steps.map(({ at, what }) => [`\`${at.slice(0, 23)}\``, escapeMarkdown(what)])),
  );
  return [...lines, ...LAST_LINES].join('\n');
}
