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
  DISPATCHER_JOB,
  DISPATCHER_MAY_RETIRE,
  DISPATCHER_NEWS,
  DISPATCHER_ROSTER,
  DISPATCHER_STATUS,
  type DispatcherInput,
  type DispatcherNews,
  type DispatcherSnapshot,
  type JobStanding,
} from '../../contracts/workflows/actors.ts';
import type { Roster } from '../../contracts/workflows/health.ts';
import { DispatcherActor, type DispatcherState } from './actor.ts';
import { historyIsFull } from '../lib/history.ts';
import { dispatcherDetails } from './details.ts';

const newsSignal = defineSignal<[DispatcherNews[]]>(DISPATCHER_NEWS);
const statusQuery = defineQuery<DispatcherSnapshot>(DISPATCHER_STATUS);
const rosterQuery = defineQuery<Roster>(DISPATCHER_ROSTER);
const jobQuery = defineQuery<JobStanding, [number]>(DISPATCHER_JOB);
const mayRetireUpdate = defineUpdate<boolean, [string]>(DISPATCHER_MAY_RETIRE);

/**
 * A group's actor: turns demand into runners, never more than `max` nor than a capped backend has places for. Ends only when
 * its group was removed from the configuration and nothing of it is left. All it knows is in its state, which
 * continue-as-new carries over.
 */
export async function dispatcher(input: DispatcherInput & { carried?: DispatcherState }): Promise<void> {
  const actor = new DispatcherActor(input.settings, input.carried);
  let news = true;

  setHandler(newsSignal, (items) => {
    for (const item of items) actor.hear(item);
    news = true;
  });
  setHandler(mayRetireUpdate, (runner) => actor.mayRetire(runner));
  setHandler(statusQuery, () => actor.snapshot());
  setHandler(jobQuery, (jobId) => actor.ledger.standing(jobId));
  setHandler(rosterQuery, () => actor.roster());

  for (;;) {
    news = false;
    // Before any deed: the server refuses to begin anew while news come in, and holds them back only for the next try. What is
    // to be done then is the next run's to do.
    if (historyIsFull()) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof dispatcher>({ settings: actor.settings, carried: actor.toState() });
    }
    await actor.start(historyIsFull);
    await actor.retire(historyIsFull);
    await actor.settle(historyIsFull);
    await actor.move(historyIsFull);
    if (historyIsFull()) continue;
    setCurrentDetails(dispatcherDetails(actor.snapshot()));
    if (actor.done && !news) {
      await condition(allHandlersFinished);
      if (!news) return;
    }
    const next = actor.nextLook();
    if (next === undefined) await condition(() => news);
    else await condition(() => news, Math.max(1, next.at - Date.now()), { summary: next.summary });
  }
}
