import { isCancellation, proxyActivities, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import { type OrchestratorActivities } from '../../contracts/ports/orchestrator-activities.ts';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type { HealthInput, HealthReport, HealthState, Mark } from '../../contracts/workflows/health.ts';
import { rootMessage } from '../lib/failure.ts';
import { maybeBodiless, maybeOwnerless, remainsOf, remark, type Sights } from './compare.ts';
import { healthDetails, healthNote } from './details.ts';
import { Removal } from './removal.ts';

/** The first check of a group looks that far back for failed deliveries: what is older is about jobs that are no more. */
const FIRST_LOOK_MS = 24 * 3_600_000;
/** A delivery that is under way while the list is read stands in it later. */
const DELIVERY_OVERLAP_MS = 60_000;

const FORGE_ERRORS = ['FORGE_UNAVAILABLE', 'FORGE_REFUSED', 'FORGE_RATE_LIMITED'];

const OPTIONS = {
  startToCloseTimeout: '10 min',
  heartbeatTimeout: '20 s',
  // What doesn't answer by then is asked by the next check.
  scheduleToCloseTimeout: '15 min',
  // Of a forge that fails, its client has asked again by then.
  retry: { initialInterval: '1 s', maximumInterval: '10 s', maximumAttempts: 3, nonRetryableErrorTypes: FORGE_ERRORS },
};

const look = proxyActivities<OrchestratorActivities>({ ...OPTIONS, taskQueue: TASK_QUEUE.orchestrator });

/**
 * One check of one group, started by its schedule: compares forge, backend and workflows, marks what has no counterpart and
 * removes what was marked before; asks about jobs that wait too long; has failed webhooks sent again and looks for jobs that
 * none told of. What gives no answer is left as it is.
 */
export async function healthCheck(input: HealthInput): Promise<HealthReport> {
  const { settings, access, graceMs, hooks, hookUrl } = input;
  const { name: group } = settings;
  const begun = Date.now();
  const before = stateOf(workflowInfo().lastResult, begun);
  const unanswered: string[] = [];
  const ask = async <T>(what: string, question: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await question();
    } catch (error) {
      if (isCancellation(error)) throw error;
      unanswered.push(`${what}: ${rootMessage(error)}`);
      return undefined;
    }
  };

  // Workflows come last: what they own was made after them, so whatever is listed before is theirs.
  const { listInstances } = backendOf(settings.backend);
  const [kept, instances, registrations, slots] = await Promise.all([
    ask('group on the forge', () => look.reconcileRunnerGroup({ settings, access })),
    ask('instances', () => listInstances({ group })),
    ask('registrations', () => look.listRegistrations({ settings, access })),
    ask('dispatcher', () => look.listSlots({ group })),
  ]);
  const workflows = await ask('workflows', () => look.listWorkflows({ settings }));
  const sights: Sights = { workflows, slots, instances, registrations };
  const olderThan = begun - graceMs;
  const candidates = maybeOwnerless(sights, olderThan);
  const ownerless =
    candidates.length === 0
      ? []
      : await ask('workflows one by one', () => look.confirmOrphaned({ group, runners: candidates }));
  const found = [
    { kind: 'orphaned', runners: ownerless ?? [] },
    { kind: 'missingInstance', runners: maybeBodiless(sights, olderThan) },
  ] as const;
  const complete = ![workflows, slots, instances, registrations, ownerless].includes(undefined);
  // With a side missing nothing is removed, and no mark is lost.
  const marks = complete ? remark(before.marks, [...found], begun) : before.marks;
  const known = new Set(before.marks.map(({ kind, runner }) => `${kind} ${runner}`));
  const marked = marks.filter(({ kind, runner }) => !known.has(`${kind} ${runner}`));
  const due = complete ? marks.filter(({ since }) => since <= olderThan) : [];
  const removal = new Removal(settings, sights, ask);
  const done = await removal.of(due);

  const demand = await ask('waiting jobs', () => look.recheckDemand({ group, olderThanMs: graceMs }));
  const sent =
    hooks.length === 0
      ? undefined
      : await ask('deliveries', () =>
          look.redeliver({ hooks, hookUrl, since: before.deliveriesSince, failing: before.failing }),
        );
  unanswered.push(...(sent?.notes ?? []));
  const lost = await ask('lost jobs', () => look.findLostJobs({ settings, cursor: before.repositoryCursor }));

  const state: HealthState = {
    version: 1,
    marks: marks.filter((mark) => !done.has(mark)),
    deliveriesSince: sent === undefined ? before.deliveriesSince : begun - DELIVERY_OVERLAP_MS,
    failing: sent?.failing ?? before.failing,
    repositoryCursor: lost?.cursor ?? before.repositoryCursor,
  };
  const report: HealthReport = {
    at: new Date().toISOString(),
    group,
    runners: workflows?.length ?? 0,
    marked: marked.map((mark) => describe(mark, sights)),
    repaired: [...(kept ?? []).map((what) => `${group} on the forge: ${what}`), ...removal.mended],
    unanswered,
    demand: demand ?? { asked: 0, dropped: 0 },
    redelivered: sent?.redelivered ?? 0,
    found: lost?.found ?? 0,
    state,
  };
  setCurrentDetails(healthDetails(report));
  await ask('note', () => look.recordHealthNote({ group, note: healthNote(report) }));
  return report;
}

function backendOf(name: string): Pick<BackendActivities, 'listInstances'> {
  return proxyActivities<Pick<BackendActivities, 'listInstances'>>({
    ...OPTIONS,
    taskQueue: TASK_QUEUE.backend(name),
    // Its worker may be away: that is told, and doesn't hold up the rest for long.
    scheduleToStartTimeout: '30 s',
  });
}

function describe({ kind, runner }: Mark, sights: Sights): string {
  return kind === 'missingInstance'
    ? `${runner}: its workflow runs, but its instance is gone`
    : `${runner}: ${remainsOf(runner, sights)}, but no workflow`;
}

/** What the check before left; the server hands it over. */
function stateOf(last: unknown, now: number): HealthState {
  const isReport = (value: unknown): value is Pick<HealthReport, 'state'> =>
    typeof value === 'object' && value !== null && 'state' in value;
  if (isReport(last) && last.state.version === 1) return last.state;
  return { version: 1, marks: [], deliveriesSince: now - FIRST_LOOK_MS, failing: [], repositoryCursor: 0 };
}
