import type { HealthReport } from '../../contracts/workflows/health.ts';
import { factTable, LAST_LINES, plain } from '../lib/markdown.ts';

/** A list for people ends there; all of it is in the workflow's result. */
const LINES = 50;

/** A check's current details in Temporal's UI, markdown. */
export function healthDetails(report: HealthReport): string {
  const { demand, redelivered, found, runners } = report;
  const rows: [string, string][] = [
    ['Runners', String(runners)],
    ['Jobs that wait long', `${demand.asked} asked about, ${demand.dropped} wait no more`],
    ['Webhooks', `${redelivered} sent again, ${found} waiting jobs found that none had told of`],
  ];
  return [
    `### ${plain(healthNote(report))}`,
    '',
    ...factTable(rows),
    ...list('Marked: removed by a later check, if still so', report.marked),
    ...list('Mended', report.repaired),
    ...list('No answer', report.unanswered),
    ...LAST_LINES,
  ].join('\n');
}

/** The schedule's note: one line, what the last check came to. */
export function healthNote(report: HealthReport): string {
  const { marked, repaired: mended, unanswered, demand, redelivered, found, state } = report;
  const say = (count: number, what: string): string => (count === 0 ? '' : `${count} ${what}`);
  const facts = [
    say(mended.length, 'repaired'),
    say(marked.length, 'marked'),
    say(state.marks.length - marked.length, 'still marked'),
    say(demand.dropped, 'jobs wait no more'),
    say(redelivered, 'webhooks sent again'),
    say(found, 'lost jobs found'),
    say(unanswered.length, 'questions without an answer'),
  ].filter(Boolean);
  return `${report.at.slice(0, 19)}Z: ${facts.length === 0 ? 'all is well' : facts.join(', ')}`;
}

function list(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const shown = lines.slice(0, LINES).map((line) => `- ${plain(line)}`);
  if (lines.length > LINES) shown.push(`- and ${lines.length - LINES} more`);
  return ['', `**${title}**`, '', ...shown];
}
