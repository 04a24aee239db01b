import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import {
  DISPATCHER_EVENTS,
  DISPATCHER_JOB_STATUS,
  DISPATCHER_ROSTER,
  DISPATCHER_STATUS,
  type DispatcherEvent,
  type DispatcherInput,
  type DispatcherSnapshot,
  type JobStatus,
  MAY_RETIRE_RUNNERS,
  type Roster,
} from '../../contracts/workflows/dispatcher.ts';
import { DispatcherActor, type DispatcherState } from './actor.ts';
import { historyIsFull } from '../lib/history.ts';
import { renderDispatcherDetails } from './details.ts';

const eventsSignal = defineSignal<[DispatcherEvent[]]>(DISPATCHER_EVENTS);
const statusQuery = defineQuery<DispatcherSnapshot>(DISPATCHER_STATUS);
const rosterQuery = defineQuery<Roster>(DISPATCHER_ROSTER);
const jobQuery = defineQuery<JobStatus, [number]>(DISPATCHER_JOB_STATUS);
const mayRetireUpdate = defineUpdate<string[], [string[]]>(MAY_RETIRE_RUNNERS);

/**
 * Turns a group's demand into runners: never more than `max`, and never more than a capped backend has slots for. It ends only
 * when its group was removed from the configuration and nothing of the group is left. Continue-as-new carries over all state.
 */
export async function dispatcher(input: DispatcherInput & { carried?: DispatcherState }): Promise<void> {
  const actor = new DispatcherActor(input.settings, input.carried);
  let changed = true;

  setHandler(eventsSignal, (events) => {
    for (const event of events) actor.apply(event);
    changed = true;
  });
  setHandler(mayRetireUpdate, (runners) => actor.listRetirable(runners));
  setHandler(statusQuery, () => actor.toSnapshot());
  setHandler(jobQuery, (jobId) => actor.demand.getJobStatus(jobId, Date.now()));
  setHandler(rosterQuery, () => actor.toRoster());
  void actor.recordUses();

  for (;;) {
    changed = false;
    // Before any activity: the server refuses to continue as new while signals arrive, and holds them back for one attempt
    // only. The next run does the remaining work.
    if (historyIsFull()) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof dispatcher>({ settings: actor.settings, carried: actor.toState() });
    }
    await actor.startRunners(historyIsFull);
    await actor.retireRunners(historyIsFull);
    await actor.requestSlots(historyIsFull);
    await actor.moveJobs(historyIsFull);
    if (historyIsFull()) continue;
    setCurrentDetails(renderDispatcherDetails(actor.toSnapshot()));
    if (actor.isDone && !changed) {
      await condition(allHandlersFinished);
      if (!changed) return;
    }
    const next = actor.findNextWakeUp();
    const hasWork = (): boolean => changed || actor.isDone;
    if (next === undefined) await condition(hasWork);
    else await condition(hasWork, Math.max(1, next.at - Date.now()), { summary: next.summary });
  }
}
