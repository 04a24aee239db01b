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
  MAY_RETIRE_RUNNER,
  type Roster,
} from '../../contracts/workflows/dispatcher.ts';
import { DispatcherActor, type DispatcherState } from './actor.ts';
import { historyIsFull } from '../lib/history.ts';
import { dispatcherDetails } from './details.ts';

const eventsSignal = defineSignal<[DispatcherEvent[]]>(DISPATCHER_EVENTS);
const statusQuery = defineQuery<DispatcherSnapshot>(DISPATCHER_STATUS);
const rosterQuery = defineQuery<Roster>(DISPATCHER_ROSTER);
const jobQuery = defineQuery<JobStatus, [number]>(DISPATCHER_JOB_STATUS);
const mayRetireUpdate = defineUpdate<boolean, [string]>(MAY_RETIRE_RUNNER);

/**
 * A group's actor: it turns demand into runners, never more than `max` and never more than a capped backend has slots for. It
 * ends only when its group was removed from the configuration and nothing of the group is left. All it knows is in its state,
 * which continue-as-new carries over.
 */
export async function dispatcher(input: DispatcherInput & { carried?: DispatcherState }): Promise<void> {
  const actor = new DispatcherActor(input.settings, input.carried);
  let changed = true;

  setHandler(eventsSignal, (events) => {
    for (const event of events) actor.apply(event);
    changed = true;
  });
  setHandler(mayRetireUpdate, (runner) => actor.mayRetire(runner));
  setHandler(statusQuery, () => actor.snapshot());
  setHandler(jobQuery, (jobId) => actor.demand.jobStatus(jobId));
  setHandler(rosterQuery, () => actor.roster());

  for (;;) {
    changed = false;
    // Before any activity: the server refuses to continue as new while signals arrive, and holds them back for one attempt
    // only. What remains to be done, the next run does.
    if (historyIsFull()) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof dispatcher>({ settings: actor.settings, carried: actor.toState() });
    }
    await actor.start(historyIsFull);
    await actor.retire(historyIsFull);
    await actor.requestSlots(historyIsFull);
    await actor.move(historyIsFull);
    if (historyIsFull()) continue;
    setCurrentDetails(dispatcherDetails(actor.snapshot()));
    if (actor.done && !changed) {
      await condition(allHandlersFinished);
      if (!changed) return;
    }
    const next = actor.nextWakeUp();
    if (next === undefined) await condition(() => changed);
    else await condition(() => changed, Math.max(1, next.at - Date.now()), { summary: next.summary });
  }
}
