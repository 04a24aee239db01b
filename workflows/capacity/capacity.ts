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
import {
  dispatcherWorkflowId,
  PLACES_NEWS,
  PLACES_STATUS,
  type OrchestratorActivities,
  type PlacesInput,
  type PlacesNews,
  type PlacesSnapshot,
} from '../../contracts/workflows/actors.ts';
import { clock, LAST_LINES, plain, workflowLink } from '../lib/markdown.ts';
import { historyIsFull } from '../lib/history.ts';
import { Keeper, type KeeperState } from './allocator.ts';

const { answerPlaces } = proxyActivities<Pick<OrchestratorActivities, 'answerPlaces'>>({
  startToCloseTimeout: '1 min',
  retry: { initialInterval: '200 ms', maximumInterval: '10 s' },
  summary: 'tell the groups',
});

const newsSignal = defineSignal<[PlacesNews[]]>(PLACES_NEWS);
const statusQuery = defineQuery<PlacesSnapshot>(PLACES_STATUS);

/**
 * The keeper of a capped backend's places: the one that knows how many runners each group may have there. Runs only where
 * the configuration has a cap, and ends when it is taken away.
 */
export async function places(input: PlacesInput & { carried?: KeeperState }): Promise<void> {
  const { backend } = input;
  const keeper = new Keeper(input.carried);
  let news = true;

  setHandler(newsSignal, (items) => {
    for (const item of items) keeper.hear(item);
    news = true;
  });
  setHandler(statusQuery, () => keeper.snapshot(backend));

  for (;;) {
    await condition(() => news);
    news = false;
    if (keeper.max === null) {
      await condition(allHandlersFinished);
      if (keeper.max === null) return;
    }
    // Before any deed: the server holds news back only for the next try. What is to be said is the next run's to say.
    if (historyIsFull()) {
      await condition(allHandlersFinished);
      await continueAsNew<typeof places>({ backend, carried: keeper.toState() });
    }
    const answers = keeper.give(backend);
    if (answers.length > 0) await answerPlaces(answers);
    setCurrentDetails(details(keeper.snapshot(backend)));
  }
}

/** Current details in Temporal's UI, markdown. */
function details({ max, groups, silent }: PlacesSnapshot): string {
  const held = groups.reduce((sum, { allowed }) => sum + allowed, 0);
  const lines = [`### ${held} of ${max} places held`, ''];
  if (groups.length > 0)
    lines.push('| Group | Priority | Holds | Wants | Oldest waits since |', '|:--|:--|:--|:--|:--|');
  for (const { group, priority, allowed, wants, oldestSince } of groups) {
    const since = oldestSince === null ? '' : clock(new Date(oldestSince));
    lines.push(
      `| ${workflowLink(group, dispatcherWorkflowId(group))} | ${priority} | ${allowed} | ${wants} | ${since} |`,
    );
  }
  if (silent.length > 0) lines.push('', `Waiting for the word of ${silent.map(plain).join(', ')}`);
  return [...lines, ...LAST_LINES].join('\n');
}
