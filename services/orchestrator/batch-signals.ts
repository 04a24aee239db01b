import { randomUUID } from 'node:crypto';
import type { AskRetirement } from '../../activities/signals/retirement.ts';
import type { Signaller } from '../../activities/signals/signaller.ts';
import type { ProxiesEvent, ProxiesSettings } from '../../contracts/workflows/delegation.ts';
import type { DispatcherEvent } from '../../contracts/workflows/dispatcher.ts';
import { SignalBatcher } from '../shared/signal-batcher.ts';

/** Approximate sizes as JSON: of the event "runner gone" with the use of its instance, of a proxies' event, of a runner's name. */
const EVENT_BYTES = 800;
const PROXIES_EVENT_BYTES = 100;
const NAME_BYTES = 70;
/** Whatever failed the call fails it for every item in it. */
const neverSplit = (): boolean => false;

/**
 * Puts what this process's workflows send to one dispatcher (or one group's proxies) at the same time into one signal: a signal each
 * costs the receiver a workflow task each when hundreds of runners end together. Events are idempotent, so a repeated call does no
 * harm.
 */
export function batchSignals(signaller: Signaller): Signaller {
  const dispatchers = new SignalBatcher<DispatcherEvent[], boolean>(
    (group, items) =>
      signaller.signalDispatcher(
        group,
        items.flatMap(({ value }) => value),
      ),
    neverSplit,
  );
  const proxies = new SignalBatcher<{ settings: ProxiesSettings; events: ProxiesEvent[] }, void>(
    async (_group, items) => {
      const last = items.at(-1);
      if (last === undefined) return;
      await signaller.signalProxies(
        last.value.settings,
        items.flatMap(({ value }) => value.events),
      );
    },
    neverSplit,
  );
  return {
    signalDispatcher: (group, events) =>
      dispatchers.add(group, { id: randomUUID(), value: events, bytes: EVENT_BYTES * events.length }),
    signalProxies: (settings, events) =>
      proxies.add(settings.group, {
        id: randomUUID(),
        value: { settings, events },
        bytes: PROXIES_EVENT_BYTES * events.length,
      }),
  };
}

/** Puts the questions of runners that want to retire at the same time into one update of their dispatcher. */
export function batchRetirement(ask: AskRetirement): (group: string, runner: string) => Promise<boolean> {
  const batcher = new SignalBatcher<string, ReadonlySet<string>>(
    (group, items) =>
      ask(
        group,
        items.map(({ value }) => value),
      ),
    neverSplit,
  );
  return async (group, runner) =>
    (await batcher.add(group, { id: runner, value: runner, bytes: NAME_BYTES })).has(runner);
}
