import {
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import {
  delegationWorkflowId,
  PROXIES_EVENTS,
  type ProxiesEvent,
  type ProxiesSettings,
} from '../../contracts/workflows/delegation.ts';
import type { DelegatedJobActivities } from '../../contracts/ports/forge-activities.ts';
import type { AuditEntry } from '../../contracts/messages/audit.ts';
import { findRootMessage } from '../lib/failure.ts';
import { historyIsFull } from '../lib/history.ts';
import { proxySignalActivities } from '../lib/signal-activities.ts';
import { renderFactTable, LAST_LINES, escapeMarkdown, renderWorkflowLink } from '../lib/markdown.ts';
import { RunnerWatch } from './runner-watch.ts';

const eventsSignal = defineSignal<[ProxiesEvent[]]>(PROXIES_EVENTS);

/** The label of proxies that stepped aside: it shows on the forge why they get no job. */
const ASIDE_LABEL = 'stepped-aside';
/** A hold that is not renewed within this time expires: its delegation has ended, or was terminated. */
const HOLD_TIMEOUT_MS = 10 * 60_000;
/** A short delay before proxies come back: the next delegation often follows soon. */
const COME_BACK_DELAY_MS = 500;

const forge = proxyActivities<Pick<DelegatedJobActivities, 'labelProxies'>>({
  taskQueue: TASK_QUEUE.forge,
  startToCloseTimeout: '2 min',
  retry: { initialInterval: '1 s', maximumInterval: '1 min' },
});
const { recordAudit } = proxySignalActivities('write the audit entry');
const { signalDelegations } = proxySignalActivities('signal the delegations');

interface Carried {
  holds: [string, number][];
  unanswered: string[];
  /** Delegations that wait for an online runner. */
  waiting: [string, number][];
  aside: boolean;
}

/**
 * Keeps a group's proxies from taking jobs while a delegation's re-run waits for its runner: it removes their labels as long as
 * any delegation holds them, then restores the labels and ends. For delegations that want the hold only when a runner of the group is
 * online, it watches the group.
 */
export async function proxies(input: { settings: ProxiesSettings; carried?: Carried }): Promise<void> {
  const { settings } = input;
  /** Delegations that hold the proxies aside, and until when, milliseconds since the epoch. */
  const holds = new Map<string, number>(input.carried?.holds);
  /** Delegations to signal once the proxies have stepped aside. */
  const unanswered = new Set<string>(input.carried?.unanswered);
  const watch = new RunnerWatch(settings.group, input.carried?.waiting);
  let aside = input.carried?.aside ?? false;
  let changed = false;
  const hold = (delegation: string): void => {
    holds.set(delegation, Date.now() + HOLD_TIMEOUT_MS);
    unanswered.add(delegation);
  };
  setHandler(eventsSignal, (events) => {
    for (const { type, delegation } of events) {
      watch.delete(delegation);
      if (type === 'hold') hold(delegation);
      else if (type === 'hold-when-online') watch.add(delegation, Date.now() + HOLD_TIMEOUT_MS);
      else {
        holds.delete(delegation);
        unanswered.delete(delegation);
      }
    }
    changed = true;
  });
  void watch.run((delegations) => {
    for (const delegation of delegations) hold(delegation);
    changed = true;
  });

  for (;;) {
    changed = false;
    for (const [delegation, until] of holds) if (until <= Date.now()) holds.delete(delegation);
    updateView(settings, aside, [...holds.keys()], watch.size);
    if (holds.size > 0) {
      const problem = aside ? null : await stepAside(settings);
      // If the forge refuses: a re-run that a proxy takes is handed over again, and the next hold tries again.
      aside = problem === null;
      const ids = [...unanswered].filter((id) => holds.has(id));
      unanswered.clear();
      if (ids.length > 0) await signalDelegations({ ids, events: [{ type: 'stepped-aside', problem }] });
    } else if (aside) {
      if (await condition(() => holds.size > 0, COME_BACK_DELAY_MS, { summary: 'delay before the proxies come back' }))
        continue;
      await comeBack(settings);
      aside = false;
      continue;
    } else if (!changed && watch.size === 0) {
      return;
    }
    if (historyIsFull()) {
      const carried = { holds: [...holds], unanswered: [...unanswered], waiting: watch.toState(), aside };
      await continueAsNew<typeof proxies>({ settings, carried });
    }
    if (changed) continue;
    const hasWork = (): boolean => changed || historyIsFull();
    const next = Math.min(...holds.values());
    if (holds.size === 0) await condition(hasWork);
    else {
      await condition(hasWork, Math.max(1, next - Date.now()), { summary: 'removes a hold that is not renewed' });
    }
  }
}

/** @returns why the proxies could not step aside; null where they did */
async function stepAside(settings: ProxiesSettings): Promise<string | null> {
  const { scope, names } = settings;
  try {
    const { labelled } = await forge.labelProxies({ scope, names, labels: [ASIDE_LABEL] });
    await recordAudit({ audit: toAuditEntry(settings, 'proxies-aside', 'ok', `aside: ${labelled.join(', ')}`) });
    return null;
  } catch (error) {
    const problem = `the proxies could not step aside, and may take the re-run: ${findRootMessage(error)}`;
    await recordAudit({ audit: toAuditEntry(settings, 'proxies-aside', 'failed', problem) });
    return problem;
  }
}

async function comeBack(settings: ProxiesSettings): Promise<void> {
  const { scope, names, labels } = settings;
  try {
    const { labelled } = await forge.labelProxies({ scope, names, labels });
    await recordAudit({ audit: toAuditEntry(settings, 'proxies-back', 'ok', `back: ${labelled.join(', ')}`) });
  } catch (error) {
    await recordAudit({ audit: toAuditEntry(settings, 'proxies-back', 'failed', findRootMessage(error)) });
    throw error;
  }
}

function toAuditEntry(
  settings: ProxiesSettings,
  action: AuditEntry['action'],
  outcome: string,
  detail: string,
): AuditEntry {
  const { workflowId, runId, historyLength } = workflowInfo();
  return {
    version: 1,
    id: `${workflowId}.${runId}.${historyLength}.${action}`,
    at: new Date().toISOString(),
    who: `proxies/${settings.group}`,
    action,
    delegation: null,
    repository: null,
    runId: null,
    outcome,
    detail: detail.slice(0, 1500),
  };
}

function updateView(settings: ProxiesSettings, aside: boolean, holds: readonly string[], waiting: number): void {
  const rows: [string, string][] = [
    ['Proxies', settings.names.map(escapeMarkdown).join(', ')],
    ['Labels', settings.labels.map((label) => `\`${label}\``).join(' ')],
  ];
  const links = holds.slice(0, 20).map((id) => renderWorkflowLink(id, delegationWorkflowId(id)));
  if (links.length > 0) rows.push(['Held by', links.join(', ')]);
  if (waiting > 0) rows.push(['Waiting', `${waiting} delegations, for a runner of ${settings.group} to come online`]);
  const heading = aside ? 'stepped aside' : holds.length > 0 ? 'stepping aside' : 'taking jobs';
  setCurrentDetails([`### ${heading}`, '', ...renderFactTable(rows), ...LAST_LINES].join('\n'));
}
