import type { HealthReport } from '../../contracts/workflows/health.ts';
import { renderFactTable, LAST_LINES, escapeMarkdown } from '../lib/markdown.ts';

/** Longer lists are cut here; the workflow's result has all lines. */
const MAX_LINES = 50;

/** A check's current details in Temporal's UI, markdown. */
export function renderHealthDetails(report: HealthReport): string {
  const { demand, redelivered, found, runners } = report;
  const rows: [string, string][] = [
    ['Runners', String(runners)],
    ['Long-waiting jobs', `${demand.asked} checked, ${demand.dropped} no longer waiting`],
    ['Webhooks', `${redelivered} redelivered, ${found} waiting jobs found without one`],
  ];
  return [
    `### ${escapeMarkdown(renderHealthNote(report))}`,
    '',
    ...renderFactTable(rows),
    ...list('Marked: a later check removes them if nothing has changed', report.marked),
    ...list('Repaired', report.repaired),
    ...list('No answer', report.unanswered),
    ...list('Notes', report.notes),
    ...LAST_LINES,
  ].join('\n');
}

/** The schedule's note: the result of the last check as one line. */
export function renderHealthNote(report: HealthReport): string {
  const { marked, repaired, unanswered, notes, demand, redelivered, found, state } = report;
  const say = (count: number, what: string): string => (count === 0 ? '' : `${count} ${what}`);
  const facts = [
    say(repaired.length, 'repaired'),
    say(marked.length, 'marked'),
    say(state.marks.length - marked.length, 'still marked'),
    say(demand.dropped, 'jobs no longer waiting'),
    say(redelivered, 'webhooks redelivered'),
    say(found, 'lost jobs found'),
    say(unanswered.length, 'queries without an answer'),
    say(notes.length, 'notes'),
  ].filter(Boolean);
  return `${report.at.slice(0, 19)}Z: ${facts.length === 0 ? 'all is well' : facts.join(', ')}`;
}

function list(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const shown = lines.slice(0, MAX_LINES).map((line) => `- ${escapeMarkdown(line)}`);
  if (lines.length > MAX_LINES) shown.push(`- and ${lines.length - MAX_LINES} more`);
  return ['', `**${title}**`, '', ...shown];
}
