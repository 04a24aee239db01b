import { defineSearchAttributeKey } from '@temporalio/common';
import { isCancellation, proxyActivities, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { HealthActivities } from '../../contracts/ports/health-activities.ts';
import { type BackendActivities } from '../../contracts/ports/backend-activities.ts';
import { TASK_QUEUE } from '../../contracts/workflows/task-queues.ts';
import type { HealthInput, HealthReport, HealthState, Mark } from '../../contracts/workflows/health.ts';
import { findRootMessage } from '../lib/failure.ts';
import {
  findMissingInstances,
  findMissingRegistrations,
  findMaybeOrphaned,
  describeRemains,
  updateMarks,
  type Observations,
} from './compare.ts';
import { renderHealthDetails, renderHealthNote } from './details.ts';
import { Removal } from './removal.ts';

/** A group's first check considers failed deliveries of this period: older ones are about jobs that no longer exist. */
const FIRST_CHECK_PERIOD_MS = 24 * 3_600_000;
/** A delivery that is in progress while the list is read appears in it later. */
const DELIVERY_OVERLAP_MS = 60_000;

/** A requested check accepts what another one asked the forge this long ago. */
const REQUESTED_LOOK_AGE_MS = 5000;
const SCHEDULED_START = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME');

const FORGE_ERRORS = ['FORGE_UNAVAILABLE', 'FORGE_REFUSED', 'FORGE_RATE_LIMITED'];

const OPTIONS = {
  startToCloseTimeout: '10 min',
  heartbeatTimeout: '20 s',
  // After that, the next check asks again.
  scheduleToCloseTimeout: '15 min',
  // The forge's client has already retried its own errors.
  retry: { initialInterval: '1 s', maximumInterval: '10 s', maximumAttempts: 3, nonRetryableErrorTypes: FORGE_ERRORS },
};

const orchestrator = proxyActivities<HealthActivities>({ ...OPTIONS, taskQueue: TASK_QUEUE.forgeBackground });

/**
 * One check of one group, started by its schedule. It compares forge, backend and workflows, marks what has no counterpart and
 * removes what was marked before; asks the forge about jobs that wait too long; redelivers failed webhooks, and searches for jobs
 * without a webhook. Where there is no answer, it changes nothing.
 */
export async function healthCheck(input: HealthInput): Promise<HealthReport> {
  const { settings, access, graceMs, hooks, hookUrl } = input;
  const { name: group } = settings;
  const startedAt = Date.now();
  // A look at the forge serves all groups. What it finds is marked after it began, and confirmed by one that began later still.
  const maxAgeMs = isScheduled(input) ? graceMs : Math.min(graceMs, REQUESTED_LOOK_AGE_MS);
  const before = toHealthState(workflowInfo().lastResult, startedAt);
  const unanswered: string[] = [];
  const ask = async <T>(what: string, question: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await question();
    } catch (error) {
      if (isCancellation(error)) throw error;
      unanswered.push(`${what}: ${findRootMessage(error)}`);
      return undefined;
    }
  };

  // Workflows are listed last: a workflow starts before its instance and registration exist, so none of these looks orphaned.
  const { listInstances } = createBackendActivities(settings.backend);
  const [reconciled, instances, registrations, slots] = await Promise.all([
    ask('group on the forge', () => orchestrator.reconcileRunnerGroup({ settings, access, maxAgeMs })),
    ask('instances', () => listInstances({ group })),
    ask('registrations', () => orchestrator.listRegistrations({ settings, maxAgeMs })),
    ask('dispatcher', () => orchestrator.listSlots({ group })),
  ]);
  const workflows = await ask('workflows', () => orchestrator.listWorkflows({ settings }));
  const observations: Observations = { workflows, slots, instances, registrations };
  const olderThan = startedAt - graceMs;
  const candidates = findMaybeOrphaned(observations, olderThan);
  const orphaned =
    candidates.length === 0
      ? []
      : await ask('workflows one by one', () =>
          orchestrator.confirmOrphaned({ group, runners: candidates, at: startedAt - maxAgeMs }),
        );
  const found = [
    { kind: 'orphaned', runners: orphaned ?? [] },
    { kind: 'missingInstance', runners: findMissingInstances(observations, olderThan) },
    { kind: 'missingRegistration', runners: findMissingRegistrations(observations, olderThan) },
  ] as const;
  const complete = ![workflows, slots, instances, registrations, orphaned].includes(undefined);
  // If an answer is missing, nothing is removed and all marks are kept.
  const marks = complete ? updateMarks(before.marks, [...found], Date.now()) : before.marks;
  const known = new Set(before.marks.map(({ kind, runner }) => `${kind} ${runner}`));
  const marked = marks.filter(({ kind, runner }) => !known.has(`${kind} ${runner}`));
  const due = complete ? marks.filter(({ since }) => since <= olderThan) : [];
  const removal = new Removal(settings, observations, ask);
  const done = await removal.removeMarked(due);

  const demand = await ask('waiting jobs', () => orchestrator.recheckDemand({ group, olderThanMs: graceMs }));
  const redelivery =
    hooks.length === 0
      ? undefined
      : await ask('deliveries', () =>
          orchestrator.redeliver({ hooks, hookUrl, since: before.deliveriesSince, failing: before.failing }),
        );
  const lost = await ask('lost jobs', () => orchestrator.findLostJobs({ settings, maxAgeMs }));
  unanswered.push(...(demand?.unread ?? []), ...(lost?.unread ?? []));
  const notes = [
    ...(reconciled?.notes ?? []).map((note) => `${group} on the forge: ${note}`),
    ...(redelivery?.notes ?? []),
    ...(lost?.notes ?? []),
  ];

  const state: HealthState = {
    version: 1,
    marks: marks.filter((mark) => !done.has(mark)),
    deliveriesSince: redelivery === undefined ? before.deliveriesSince : startedAt - DELIVERY_OVERLAP_MS,
    failing: redelivery?.failing ?? before.failing,
  };
  const report: HealthReport = {
    at: new Date().toISOString(),
    group,
    runners: workflows?.length ?? 0,
    marked: marked.map((mark) => describeMark(mark, observations)),
    repaired: [...(reconciled?.changes ?? []).map((what) => `${group} on the forge: ${what}`), ...removal.repaired],
    unanswered,
    notes,
    demand: { asked: demand?.asked ?? 0, dropped: demand?.dropped ?? 0 },
    redelivered: redelivery?.redelivered ?? 0,
    found: lost?.found ?? 0,
    state,
  };
  setCurrentDetails(renderHealthDetails(report));
  await ask('note', () => orchestrator.recordHealthNote({ group, note: renderHealthNote(report) }));
  return report;
}

function createBackendActivities(name: string): Pick<BackendActivities, 'listInstances'> {
  return proxyActivities<Pick<BackendActivities, 'listInstances'>>({
    ...OPTIONS,
    taskQueue: TASK_QUEUE.backend(name),
    // If its worker is not running, the report names it, and the rest of the check goes on.
    scheduleToStartTimeout: '30 s',
  });
}

/** Whether the schedule's time started this check, and not `baton health`. */
function isScheduled({ schedule }: HealthInput): boolean {
  const at = workflowInfo().typedSearchAttributes.get(SCHEDULED_START)?.getTime();
  return schedule !== undefined && at !== undefined && (at - schedule.offsetMs) % schedule.everyMs === 0;
}

function describeMark({ kind, runner }: Mark, observations: Observations): string {
  switch (kind) {
    case 'missingInstance':
      return `${runner}: its workflow runs, but its instance is gone`;
    case 'missingRegistration':
      return `${runner}: its program is online, but the forge does not know it`;
    default:
      kind satisfies 'orphaned';
      return `${runner}: ${describeRemains(runner, observations)}, but no workflow`;
  }
}

/** The state that the last check left; Temporal passes it on as the last result. */
function toHealthState(last: unknown, now: number): HealthState {
  const isReport = (value: unknown): value is Pick<HealthReport, 'state'> =>
    typeof value === 'object' && value !== null && 'state' in value;
  if (isReport(last) && last.state.version === 1) return last.state;
  return { version: 1, marks: [], deliveriesSince: now - FIRST_CHECK_PERIOD_MS, failing: [] };
}
