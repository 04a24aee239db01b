import {
  condition,
  continueAsNew,
  defineSignal,
  proxyActivities,
  proxyLocalActivities,
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
import { type DelegationActivities } from '../../contracts/ports/delegation-activities.ts';
import type { AuditEntry } from '../../contracts/messages/audit.ts';
import { rootMessage } from '../lib/failure.ts';
import { factTable, LAST_LINES, plain, workflowLink } from '../lib/markdown.ts';

const newsSignal = defineSignal<[ProxiesEvent[]]>(PROXIES_EVENTS);

/** What proxies are labelled with while they step aside, so that a person on the forge sees why no job comes to them. */
const ASIDE_LABEL = 'stepped-aside';
/** A delegation that does not ask again within this is over, or was ended by force: nothing keeps proxies away for ever. */
const HOLD_MS = 10 * 60_000;
/** A short pause before proxies come back: the next delegation is often near. */
const LINGER_MS = 500;
const HISTORY_EVENTS = 2000;

const forge = proxyActivities<Pick<DelegationActivities, 'labelProxies'>>({
  taskQueue: TASK_QUEUE.orchestrator,
  startToCloseTimeout: '2 min',
  retry: { initialInterval: '1 s', maximumInterval: '1 min' },
});
const local = proxyLocalActivities<Pick<DelegationActivities, 'signalDelegations' | 'recordAudit'>>({
  startToCloseTimeout: '20 s',
  retry: { initialInterval: '500 ms', maximumInterval: '15 s' },
});

interface Carried {
  holds: [string, number][];
  aside: boolean;
}

/**
 * Sees to it that a group's proxies take no job while a delegation's re-run waits for its runner: takes their labels off as
 * long as any delegation holds them, then gives them back. Ends when nobody does.
 */
export async function proxies(input: { settings: ProxiesSettings; carried?: Carried }): Promise<void> {
  const { settings } = input;
  /** Delegations that need the proxies away, and until when, milliseconds since the epoch. */
  const holds = new Map<string, number>(input.carried?.holds);
  const untold = new Set<string>();
  let { aside } = input.carried ?? { aside: false };
  let news = false;
  setHandler(newsSignal, (items) => {
    for (const { type, delegation } of items) {
      if (type === 'hold') {
        holds.set(delegation, Date.now() + HOLD_MS);
        untold.add(delegation);
      } else {
        holds.delete(delegation);
        untold.delete(delegation);
      }
    }
    news = true;
  });

  for (;;) {
    news = false;
    for (const [delegation, until] of holds) if (until <= Date.now()) holds.delete(delegation);
    show(settings, aside, [...holds.keys()]);
    if (holds.size > 0) {
      const problem = aside ? null : await stepAside(settings);
      // Where the forge does not allow it: a re-run that lands on a proxy is handed on, and it is tried again next time.
      aside = problem === null;
      const ids = [...untold].filter((id) => holds.has(id));
      untold.clear();
      if (ids.length > 0) await local.signalDelegations({ ids, events: [{ type: 'stepped-aside', problem }] });
    } else if (aside) {
      if (await condition(() => holds.size > 0, LINGER_MS, { summary: 'before the proxies come back' })) continue;
      await comeBack(settings);
      aside = false;
      continue;
    } else if (!news) {
      return;
    }
    if (workflowInfo().historyLength > HISTORY_EVENTS) {
      await continueAsNew<typeof proxies>({ settings, carried: { holds: [...holds], aside } });
    }
    if (news) continue;
    const next = Math.min(...holds.values());
    await condition(() => news, Math.max(1, next - Date.now()), { summary: 'until a hold is no longer renewed' });
  }
}

/** @returns why it could not be done */
async function stepAside(settings: ProxiesSettings): Promise<string | null> {
  const { scope, names } = settings;
  try {
    const { labelled } = await forge.labelProxies({ scope, names, labels: [ASIDE_LABEL] });
    await local.recordAudit({ audit: entry(settings, 'proxies-aside', 'ok', `aside: ${labelled.join(', ')}`) });
    return null;
  } catch (error) {
    const problem = `the proxies could not be set aside, and may get the re-run: ${rootMessage(error)}`;
    await local.recordAudit({ audit: entry(settings, 'proxies-aside', 'failed', problem) });
    return problem;
  }
}

async function comeBack(settings: ProxiesSettings): Promise<void> {
  const { scope, names, labels } = settings;
  try {
    const { labelled } = await forge.labelProxies({ scope, names, labels });
    await local.recordAudit({ audit: entry(settings, 'proxies-back', 'ok', `back: ${labelled.join(', ')}`) });
  } catch (error) {
    await local.recordAudit({ audit: entry(settings, 'proxies-back', 'failed', rootMessage(error)) });
    throw error;
  }
}

function entry(settings: ProxiesSettings, action: AuditEntry['action'], outcome: string, detail: string): AuditEntry {
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

function show(settings: ProxiesSettings, aside: boolean, holds: readonly string[]): void {
  const rows: [string, string][] = [
    ['Proxies', settings.names.map(plain).join(', ')],
    ['Labels', settings.labels.map((label) => `\`${label}\``).join(' ')],
  ];
  const links = holds.slice(0, 20).map((id) => workflowLink(id, delegationWorkflowId(id)));
  if (links.length > 0) rows.push(['Held by', links.join(', ')]);
  const heading = aside ? 'stepped aside' : holds.length > 0 ? 'stepping aside' : 'taking jobs';
  setCurrentDetails([`### ${heading}`, '', ...factTable(rows), ...LAST_LINES].join('\n'));
}
