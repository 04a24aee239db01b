import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import {
  DISPATCHER_MAY_RETIRE,
  DISPATCHER_NEWS,
  DISPATCHER_ROSTER,
  DISPATCHER_STATUS,
  type DispatcherInput,
  type DispatcherNews,
  type DispatcherSnapshot,
  type OrchestratorActivities,
} from '../../contracts/actors.ts';
import type { Roster } from '../../contracts/health.ts';
import { runnerName } from '../../contracts/runner/name.ts';
import { dispatcherDetails } from './details.ts';
import { Ledger, type LedgerState } from './ledger.ts';

/** One signal may bring 100 items; this many signals, and the history is well below the server's own suggestion. */
const HISTORY_EVENTS = 2000;
/** 500 starts in one workflow task time out; chunks of 10 and of 50 are as fast as each other. */
const START_CHUNK = 50;

/**
 * Not a local activity: that would hold this actor's workflow task open for as long as the starts take, while the news of
 * a burst pile up in the server.
 */
const { startRunners } = proxyActivities<Pick<OrchestratorActivities, 'startRunners'>>({
  startToCloseTimeout: '1 min',
  retry: { initialInterval: '200 ms', maximumInterval: '10 s' },
  summary: 'start runners',
});

const newsSignal = defineSignal<[DispatcherNews[]]>(DISPATCHER_NEWS);
const statusQuery = defineQuery<DispatcherSnapshot>(DISPATCHER_STATUS);
const rosterQuery = defineQuery<Roster>(DISPATCHER_ROSTER);
const mayRetireUpdate = defineUpdate<boolean, [string]>(DISPATCHER_MAY_RETIRE);

/**
 * A group's actor: turns demand into runners, never more than `max`, and never ends. All it knows is in its ledger,
 * which continue-as-new carries over.
 */
export async function dispatcher(input: DispatcherInput & { carried?: LedgerState }): Promise<never> {
  let settings = input.settings;
  const ledger = new Ledger(input.carried);
  let news = true;

  setHandler(newsSignal, (items) => {
    for (const item of items) {
      switch (item.type) {
        case 'configure':
          settings = item.settings;
          break;
        case 'job':
          ledger.job(item.job, Date.now());
          break;
        case 'busy':
          ledger.busy(item.runner, item.job);
          break;
        case 'gone':
          ledger.gone(item.outcome, Date.now());
          break;
        default:
          item satisfies never;
      }
    }
    news = true;
  });
  setHandler(mayRetireUpdate, (runner) => ledger.mayRetire(runner, settings));
  setHandler(statusQuery, () => ledger.snapshot(settings, Date.now()));
  setHandler(rosterQuery, () => ledger.roster());

  for (;;) {
    news = false;
    for (;;) {
      const count = Math.min(ledger.shortage(settings, Date.now()), START_CHUNK);
      if (count === 0) break;
      const runners = Array.from({ length: count }, () => runnerName(settings.manager, settings.name, uuid4()));
      // Counted before they are started: whatever happens meanwhile, max holds.
      ledger.started(runners, Date.now());
      await startRunners({ settings, runners });
    }
    setCurrentDetails(dispatcherDetails(ledger.snapshot(settings, Date.now())));
    const { historyLength, continueAsNewSuggested } = workflowInfo();
    if (continueAsNewSuggested || historyLength > HISTORY_EVENTS) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof dispatcher>({ settings, carried: ledger.toState() });
    }
    const resume = ledger.resumeAt(settings, Date.now());
    if (resume === undefined) await condition(() => news);
    else await condition(() => news, resume - Date.now(), { summary: 'starts held back after failures' });
  }
}
