import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  proxyActivities,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import { type OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import { dispatcherWorkflowId } from '../../contracts/workflows/dispatcher.ts';
import {
  CAPACITY_EVENTS,
  CAPACITY_STATUS,
  type CapacityInput,
  type CapacityEvent,
  type CapacitySnapshot,
} from '../../contracts/workflows/capacity.ts';
import { formatTime, LAST_LINES, escapeMarkdown, renderWorkflowLink } from '../lib/markdown.ts';
import { historyIsFull } from '../lib/history.ts';
import { CapacityAllocator, type CapacityState } from './allocator.ts';

const { grantSlots } = proxyActivities<Pick<OrchestratorActivities, 'grantSlots'>>({
  startToCloseTimeout: '1 min',
  retry: { initialInterval: '200 ms', maximumInterval: '10 s' },
  summary: 'grant slots to groups',
});

const eventsSignal = defineSignal<[CapacityEvent[]]>(CAPACITY_EVENTS);
const statusQuery = defineQuery<CapacitySnapshot>(CAPACITY_STATUS);

/**
 * Allocates the slots of a capped backend: only this workflow knows how many runners each group may have there. It runs only
 * where the configuration sets a cap, and ends when the cap is removed.
 */
export async function capacity(input: CapacityInput & { carried?: CapacityState }): Promise<void> {
  const { backend } = input;
  const allocator = new CapacityAllocator(input.carried);
  let changed = true;

  setHandler(eventsSignal, (events) => {
    for (const event of events) allocator.apply(event);
    changed = true;
  });
  setHandler(statusQuery, () => allocator.toSnapshot(backend));

  for (;;) {
    await condition(() => changed);
    changed = false;
    if (allocator.max === null) {
      await condition(allHandlersFinished);
      if (allocator.max === null) return;
    }
    // Before any activity: the server holds back new signals for one attempt only. The next run sends the grants.
    if (historyIsFull()) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof capacity>({ backend, carried: allocator.toState() });
    }
    const grants = allocator.allocate(backend);
    if (grants.length > 0) await grantSlots(grants);
    setCurrentDetails(renderCapacityDetails(allocator.toSnapshot(backend)));
  }
}

/** The workflow's current details in Temporal's UI, markdown. */
function renderCapacityDetails({ max, groups, silent }: CapacitySnapshot): string {
  const held = groups.reduce((sum, { allowed }) => sum + allowed, 0);
  const lines = [`### ${held} of ${max} slots held`, ''];
  if (groups.length > 0)
    lines.push('| Group | Priority | Holds | Wants | Oldest waits since |', '|:--|:--|:--|:--|:--|');
  for (const { group, priority, allowed, wanted, oldestSince } of groups) {
    const since = oldestSince === null ? '' : formatTime(new Date(oldestSince));
    lines.push(
      `| ${renderWorkflowLink(group, dispatcherWorkflowId(group))} | ${priority} | ${allowed} | ${wanted} | ${since} |`,
    );
  }
  if (silent.length > 0) lines.push('', `Waiting for ${silent.map(escapeMarkdown).join(', ')} to report their runners`);
  return [...lines, ...LAST_LINES].join('\n');
}
