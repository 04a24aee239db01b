import { type DispatcherSnapshot } from '../../contracts/workflows/dispatcher.ts';
import { capacityWorkflowId } from '../../contracts/workflows/capacity.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import { clock, factTable, LAST_LINES, plain, workflowLink } from '../lib/markdown.ts';

/** The dispatcher's current details in Temporal's UI, markdown. */
export function dispatcherDetails(snapshot: DispatcherSnapshot): string {
  const { settings, waiting, busy, ready, oldestWaitingSince, backoffUntil, wantedSlots } = snapshot;
  const { organization, repository } = settings.scope;
  const warm = settings.min > 0 ? `, ${settings.min} kept warm` : '';
  const rows: [string, string][] = [
    ['Runners', `at most ${settings.max}${warm} · [show all](${runnersOf(settings.name)})`],
    ['Belongs to', plain(repository ? `${organization}/${repository}` : organization)],
    ['Labels', settings.labels.map((label) => `\`${label}\``).join(' ')],
    ['Backend', backendOf(settings)],
  ];
  const state = stateOf(snapshot);
  if (state) rows.unshift(['State', state]);
  if (oldestWaitingSince) rows.push(['Oldest job waits since', clock(new Date(oldestWaitingSince))]);
  if (backoffUntil) rows.push(['Starts held back until', `${clock(new Date(backoffUntil))}, after failures`]);
  if (wantedSlots > 0) rows.push(['Places', `${wantedSlots} wanted, ${places(settings.backend)}`]);
  return [`### ${waiting} waiting · ${busy} busy · ${ready} ready`, '', ...factTable(rows), ...LAST_LINES].join('\n');
}

/** What a person or the configuration wants of the group, where that is not what it always does. */
function stateOf({ mode, removed, busy, ready }: DispatcherSnapshot): string | undefined {
  const left = busy + ready === 0 ? 'nothing is left' : `${busy + ready} runners left`;
  if (removed) return `removed from the configuration, draining: ${left}`;
  if (mode === 'draining') return `draining: ${left}`;
  return mode === 'paused' ? 'paused: no runners are started' : undefined;
}

function backendOf({ backend, backendMax, priority }: GroupSettings): string {
  if (backendMax === null) return plain(backend);
  return `${plain(backend)}, ${backendMax} instances of all groups at most, priority ${priority}`;
}

function places(backend: string): string {
  return `all of ${workflowLink(backend, capacityWorkflowId(backend))} are taken`;
}

/** The list of the group's runners in the UI, relative to where it shows details. */
function runnersOf(group: string): string {
  const query = `WorkflowType="runner" AND BatonGroup="${group}"`;
  return `namespaces/{namespace}/workflows?query=${encodeURIComponent(query)}`;
}
