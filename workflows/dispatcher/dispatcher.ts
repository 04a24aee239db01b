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
import { DISPATCHER_STATE } from '../../contracts/workflows/takeover.ts';
import { DispatcherActor, type DispatcherState } from './actor.ts';
import { historyIsFull } from '../lib/history.ts';
import { renderDispatcherDetails } from './details.ts';
import { askTakeover } from './takeover.ts';

const eventsSignal = defineSignal<[DispatcherEvent[]]>(DISPATCHER_EVENTS);
const statusQuery = defineQuery<DispatcherSnapshot>(DISPATCHER_STATUS);
const rosterQuery = defineQuery<Roster>(DISPATCHER_ROSTER);
const jobQuery = defineQuery<JobStatus, [number]>(DISPATCHER_JOB_STATUS);
const stateQuery = defineQuery<DispatcherState>(DISPATCHER_STATE);
const mayRetireUpdate = defineUpdate<string[], [string[]]>(MAY_RETIRE_RUNNERS);

/** What continue-as-new carries over: its state, or the events that arrived before it had taken over an earlier one. */
interface Carried {
  carried?: DispatcherState;
  early?: DispatcherEvent[];
}

/**
 * Turns a group's demand into runners: never more than `max`, and never more than a capped backend has slots for. It ends only
 * when its group was removed from the configuration and nothing of the group is left. Continue-as-new carries over all state. Where
 * it starts without state, an earlier dispatcher may have been ended by hand: it first takes over what that one left.
 */
export async function dispatcher(input: DispatcherInput & Carried): Promise<void> {
  let actor = new DispatcherActor(input.settings, input.carried);
  let changed = true;
  /** Until the takeover: the events so far, which also apply to what is taken over. */
  let early = input.carried === undefined ? [...(input.early ?? [])] : undefined;
  for (const event of early ?? []) actor.apply(event);

  setHandler(eventsSignal, (events) => {
    for (const event of events) actor.apply(event);
    early?.push(...events);
    changed = true;
  });
  // During the takeover none may: which ones are surplus is not known yet. Afterwards all that are surplus are asked.
  setHandler(mayRetireUpdate, (runners) => (early === undefined ? actor.listRetirable(runners) : []));
  setHandler(statusQuery, () => actor.toSnapshot());
  setHandler(jobQuery, (jobId) => actor.demand.getJobStatus(jobId, Date.now()));
  setHandler(rosterQuery, () => actor.toRoster());
  setHandler(stateQuery, () => actor.toState());

  if (early !== undefined) {
    const found = await askTakeover(() => actor.settings);
    if (found === undefined) {
      await condition(allHandlersFinished);
      return await continueAsNew<typeof dispatcher>({ settings: actor.settings, early });
    }
    actor = actor.takeOver(found, early);
    early = undefined;
  }
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
