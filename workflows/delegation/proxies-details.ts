import { setCurrentDetails } from '@temporalio/workflow';
import { delegationWorkflowId, type ProxiesSettings } from '../../contracts/workflows/delegation.ts';
import {
  escapeMarkdown,
  formatTime,
  LAST_LINES,
  renderFactTable,
  renderTable,
  renderWorkflowLink,
} from '../lib/markdown.ts';
import type { ProxyLabels } from './proxy-labels.ts';

/** At most so many delegations and problems are shown. */
const MAX_SHOWN = 20;

/** Shows a group's proxies in Temporal's UI. @param waiting how many delegations wait for an online runner */
export function showProxies(
  settings: ProxiesSettings,
  labels: ProxyLabels,
  holds: readonly string[],
  waiting: number,
): void {
  const rows: [string, string][] = [
    ['Proxies', settings.names.map(escapeMarkdown).join(', ')],
    ['Labels', settings.labels.map((label) => `\`${label}\``).join(' ')],
  ];
  const links = holds.slice(0, MAX_SHOWN).map((id) => renderWorkflowLink(id, delegationWorkflowId(id)));
  if (links.length > 0) rows.push(['Held by', links.join(', ')]);
  if (waiting > 0) rows.push(['Waiting', `${waiting} delegations, for a runner of ${settings.group} to come online`]);
  const lines = [`### ${describeState(labels)}`, '', ...renderFactTable(rows)];
  const problems = labels.listProblems().slice(0, MAX_SHOWN);
  if (problems.length > 0) {
    const cells = problems.map(({ name, tries, nextAt, problem }): [string, string] => {
      const next = `tried ${tries} times; next at ${formatTime(new Date(nextAt))}`;
      return [escapeMarkdown(name), `${escapeMarkdown(problem)} (${next})`];
    });
    lines.push('', '**Labels that could not be replaced yet**', '', ...renderTable(cells));
  }
  setCurrentDetails([...lines, ...LAST_LINES].join('\n'));
}

function describeState({ wanted, isDone }: ProxyLabels): string {
  if (wanted === 'aside') return isDone ? 'stepped aside' : 'stepping aside';
  return isDone ? 'taking jobs' : 'coming back';
}
