import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Puller } from './puller.ts';

/** Registers the relay's metrics. */
export function registerRelayMetrics(registry: Registry) {
  const on = { registers: [registry] };
  return {
    handled: new Counter({
      ...on,
      name: 'baton_relay_messages_total',
      help: 'Messages by stream and result (delivered, closed, dropped, hosted, proxies, not-ours, retry, dead, interrupted).',
      labelNames: ['stream', 'result'] as const,
    }),
    seconds: new Histogram({
      ...on,
      name: 'baton_relay_seconds',
      help: 'Time from pulling a message until its acknowledgement, return to the stream, or dead letter.',
      labelNames: ['stream'] as const,
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    }),
    deadLetters: new Counter({
      ...on,
      name: 'baton_relay_dead_letters_total',
      help: 'Dead letters by stream and error code.',
      labelNames: ['stream', 'code'] as const,
    }),
    dropped: new Counter({
      ...on,
      name: 'baton_relay_dropped_signals_total',
      help: 'Signals that were dropped because their runner sent too many, by reason: repeated, or the error code of an invalid one.',
      labelNames: ['reason'] as const,
    }),
    refused: new Counter({
      ...on,
      name: 'baton_relay_refused_total',
      help: 'Operations that NATS permissions refused, by operation (publish, subscription) and kind of subject.',
      labelNames: ['operation', 'what'] as const,
    }),
    batchSize: new Histogram({
      ...on,
      name: 'baton_relay_batch_size',
      help: 'Events in one signal to a workflow, by workflow type.',
      labelNames: ['actor'] as const,
      buckets: [1, 2, 5, 10, 20, 50, 100],
    }),
    callSeconds: new Histogram({
      ...on,
      name: 'baton_relay_signal_seconds',
      help: 'Time until Temporal accepted a signal to a workflow, including the wait for an unavailable Temporal.',
      labelNames: ['actor'] as const,
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    }),
  };
}

/**
 * Registers gauges that are computed at each scrape: messages that wait in the streams, and messages in progress here.
 */
export function registerPullerMetrics(registry: Registry, pullers: ReadonlyMap<string, Puller>): void {
  const lag = new Gauge({
    name: 'baton_relay_lag_messages',
    help: 'Messages by stream and state (waiting, unacknowledged), of all relays together.',
    labelNames: ['stream', 'state'],
    registers: [registry],
    async collect() {
      await Promise.all(
        [...pullers].map(async ([stream, puller]) => {
          const found = await puller.lag().catch(() => undefined);
          // Without an answer there is no value: an old one would look current.
          if (found === undefined) {
            lag.remove({ stream, state: 'waiting' });
            lag.remove({ stream, state: 'unacknowledged' });
          } else {
            lag.set({ stream, state: 'waiting' }, found.pending);
            lag.set({ stream, state: 'unacknowledged' }, found.unacknowledged);
          }
        }),
      );
    },
  });
  const inProgress = new Gauge({
    name: 'baton_relay_in_hand_messages',
    help: 'Messages by stream that this relay is handling.',
    labelNames: ['stream'],
    registers: [registry],
    collect() {
      for (const [stream, puller] of pullers) inProgress.set({ stream }, puller.inProgress);
    },
  });
}
