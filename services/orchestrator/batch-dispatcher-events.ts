import { randomUUID } from 'node:crypto';
import type { SignalDispatcher } from '../../activities/signals/signal-activities.ts';
import type { DispatcherEvent } from '../../contracts/workflows/dispatcher.ts';
import { SignalBatcher } from '../shared/signal-batcher.ts';

/** About how large a runner's end is as JSON. */
const NEWS_BYTES = 400;

/**
 * Gathers what this process's runners tell one dispatcher at the same time into one signal: when hundreds end together,
 * a signal each costs the dispatcher a workflow task each. News is idempotent, so a call that is repeated does no harm.
 */
export function batchDispatcherEvents(tell: SignalDispatcher): SignalDispatcher {
  const mailbox = new SignalBatcher<DispatcherEvent[], void>(
    (group, letters) =>
      tell(
        group,
        letters.flatMap(({ value }) => value),
      ),
    () => false,
  );
  return (group, news) => mailbox.add(group, { id: randomUUID(), value: news, bytes: NEWS_BYTES * news.length });
}
