import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Puller } from './puller.ts';

/** The relay's metrics. */
export function relayMetrics(registers: Registry) {
  const on = { registers: [registers] };
  return {
    handled: new Counter({
      ...on,
      name: 'baton_relay_messages_total',
      help: 'Messages by stream and result (delivered, closed, hosted, not-ours, retry, dead, interrupted).',
      labelNames: ['stream', 'result'] as const,
    }),
    seconds: new Histogram({
      ...on,
      name: 'baton_relay_seconds',
      help: 'From taking a message until it is settled.',
      labelNames: ['stream'] as const,
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    }),
    deadLetters: new Counter({
      ...on,
      name: 'baton_relay_dead_letters_total',
      help: 'Dead letters by stream and error code.',
      labelNames: ['stream', 'code'] as const,
    }),
    refused: new Counter({
      ...on,
      name: 'baton_relay_refused_total',
      help: 'What the NATS server refused to a credential, from its log: publishes and subscriptions by what they were for.',
      labelNames: ['operation', 'what'] as const,
    }),
    batchSize: new Histogram({
      ...on,
      name: 'baton_relay_batch_size',
      help: 'Pieces of news in one signal to an actor.',
      labelNames: ['actor'] as const,
      buckets: [1, 2, 5, 10, 20, 50, 100],
    }),
    callSeconds: new Histogram({
      ...on,
      name: 'baton_relay_signal_seconds',
      help: 'Signals to an actor, until Temporal has them; waiting for a Temporal that is away included.',
      labelNames: ['actor'] as const,
      buckets: [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    }),
  };
}

/** Gauges that are read when somebody asks: what waits in the streams, and what is in hand here. */
export function watchPullers(registers: Registry, pullers: ReadonlyMap<string, Puller>): void {
  const lag = new Gauge({
    name: 'baton_relay_lag_messages',
    help: 'Messages by stream: waiting for any relay, or unacknowledged by all of them.',
    labelNames: ['stream', 'state'],
    registers: [registers],
    async collect() {
      await Promise.all(
        [...pullers].map(async ([stream, puller]) => {
          const found = await puller.lag().catch(() => undefined);
          // No answer is no number: an old one would look like a fresh one.
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
    registers: [registers],
    collect() {
      for (const [stream, puller] of pullers) inProgress.set({ stream }, puller.inProgress);
    },
  });
}
