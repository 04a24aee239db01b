import { randomUUID } from 'node:crypto';
import type { SignalDispatcher } from '../../activities/signals/signal-activities.ts';
import type { DispatcherEvent } from '../../contracts/workflows/dispatcher.ts';
import { SignalBatcher } from '../shared/signal-batcher.ts';

/** Approximate size of the event "runner gone" as JSON. */
const EVENT_BYTES = 400;

/**
 * Puts the events that this process's runners send to one dispatcher at the same time into one signal: a signal each costs the
 * dispatcher a workflow task each when hundreds of runners end together. Events are idempotent, so a repeated call does no harm.
 */
export function batchDispatcherEvents(signalDispatcher: SignalDispatcher): SignalDispatcher {
  const batcher = new SignalBatcher<DispatcherEvent[], void>(
    (group, items) =>
      signalDispatcher(
        group,
        items.flatMap(({ value }) => value),
      ),
    () => false,
  );
  return (group, events) => batcher.add(group, { id: randomUUID(), value: events, bytes: EVENT_BYTES * events.length });
}
