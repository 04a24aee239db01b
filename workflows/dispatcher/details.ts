import type { DispatcherSnapshot } from '../../contracts/actors.ts';
import { clock, factTable, LAST_LINES, plain } from '../markdown.ts';

/** The dispatcher's current details in Temporal's UI, markdown. */
export function dispatcherDetails(snapshot: DispatcherSnapshot): string {
  const { settings, waiting, busy, ready, oldestWaitingSince, backoffUntil } = snapshot;
  const { organization, repository } = settings.scope;
  const warm = settings.min > 0 ? `, ${settings.min} kept warm` : '';
  const rows: [string, string][] = [
    ['Runners', `at most ${settings.max}${warm} · [show all](${runnersOf(settings.name)})`],
    ['Belongs to', plain(repository ? `${organization}/${repository}` : organization)],
    ['Labels', settings.labels.map((label) => `\`${label}\``).join(' ')],
    ['Backend', plain(settings.backend)],
  ];
  if (oldestWaitingSince) rows.push(['Oldest job waits since', clock(new Date(oldestWaitingSince))]);
  if (backoffUntil) rows.push(['Starts held back until', `${clock(new Date(backoffUntil))}, after failures`]);
  return [`### ${waiting} waiting · ${busy} busy · ${ready} ready`, '', ...factTable(rows), ...LAST_LINES].join('\n');
}

/** The list of the group's runners in the UI, relative to where it shows details. */
function runnersOf(group: string): string {
  const query = `WorkflowType="runner" AND BatonGroup="${group}"`;
  return `namespaces/{namespace}/workflows?query=${encodeURIComponent(query)}`;
}
