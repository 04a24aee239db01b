import { type DispatcherSnapshot } from '../../contracts/workflows/dispatcher.ts';
import { describePassedOver, PASSED_OVER_ADVICE } from '../../contracts/workflows/passed-over.ts';
import { describePace } from '../../contracts/workflows/pace.ts';
import { capacityWorkflowId } from '../../contracts/workflows/capacity.ts';
import { type GroupSettings } from '../../contracts/workflows/group-settings.ts';
import { formatTime, renderFactTable, LAST_LINES, escapeMarkdown, renderWorkflowLink } from '../lib/markdown.ts';

/** The dispatcher's current details in Temporal's UI, markdown. */
export function renderDispatcherDetails(snapshot: DispatcherSnapshot): string {
  const { settings, waiting, busy, ready, leaving, wantedSlots, passedOver } = snapshot;
  const { oldestWaitingSince, backoffUntil, pace } = snapshot;
  const { organization, repository } = settings.scope;
  const idle = settings.min > 0 ? `, at least ${settings.min} idle` : '';
  const rows: [string, string][] = [
    ['Runners', `at most ${settings.max}${idle} · [show all](${toRunnersLink(settings.name)})`],
    ['Belongs to', escapeMarkdown(repository ? `${organization}/${repository}` : organization)],
    ['Labels', settings.labels.map((label) => `\`${label}\``).join(' ')],
    ['Backend', describeBackend(settings)],
  ];
  const state = describeState(snapshot);
  if (state) rows.unshift(['State', state]);
  if (oldestWaitingSince) rows.push(['Oldest job waits since', formatTime(new Date(oldestWaitingSince))]);
  if (backoffUntil) rows.push(['Starts held back until', `${formatTime(new Date(backoffUntil))}, after failures`]);
  if (pace) {
    const text = escapeMarkdown(describePace(pace, busy + ready + leaving));
    rows.push(['Starts', `${text}; the next at ${formatTime(new Date(pace.until))}`]);
  }
  if (passedOver) {
    const text = describePassedOver(passedOver, (iso) => formatTime(new Date(iso)));
    rows.push(['Passed over', escapeMarkdown(`${text}; ${PASSED_OVER_ADVICE}`)]);
  }
  if (wantedSlots > 0) rows.push(['Slots', `${wantedSlots} wanted, ${describeSlots(settings.backend)}`]);
  const leave = leaving > 0 ? ` · ${leaving} leaving` : '';
  return [
    `### ${waiting} waiting · ${busy} busy · ${ready} ready${leave}`,
    '',
    ...renderFactTable(rows),
    ...LAST_LINES,
  ].join('\n');
}

/** Why the group does not work as usual: an operator's mode, or its removal. */
function describeState({ mode, removed, busy, ready, leaving }: DispatcherSnapshot): string | undefined {
  const count = busy + ready + leaving;
  const left = count === 0 ? 'no runners left' : `${count} runners left`;
  if (removed) return `removed from the configuration, draining: ${left}`;
  if (mode === 'draining') return `draining: ${left}`;
  return mode === 'paused' ? 'paused: no runners are started' : undefined;
}

function describeBackend({ backend, backendMax, priority }: GroupSettings): string {
  if (backendMax === null) return escapeMarkdown(backend);
  return `${escapeMarkdown(backend)}, at most ${backendMax} instances of all groups, priority ${priority}`;
}

function describeSlots(backend: string): string {
  return `all slots of ${renderWorkflowLink(backend, capacityWorkflowId(backend))} are taken`;
}

/** A link to the list of the group's runners in the UI, relative to the page that shows the details. */
function toRunnersLink(group: string): string {
  const query = `WorkflowType="runner" AND BatonGroup="${group}"`;
  return `namespaces/{namespace}/workflows?query=${encodeURIComponent(query)}`;
}
