import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import { STREAMS } from '../../contracts/messages/streams.ts';
import { answerApplyRequests } from '../shared/apply-requests.ts';
import { NatsLink } from '../shared/nats-link.ts';
import { dataConverter } from '../shared/payload-codec.ts';
import { runService } from '../shared/service.ts';
import { temporalOptions } from '../shared/temporal-options.ts';
import { WorkflowSignals } from './workflow-signals.ts';
import { DeadLetters } from './dead-letters.ts';
import { Delegations } from './delegations.ts';
import { relayMetrics, watchPullers } from './metrics.ts';
import { resourceMetrics } from './resource-metrics.ts';
import { Puller } from './puller.ts';
import { SERVER_LOG_ENV, watchRefusals } from './refusals.ts';
import { withAcknowledgement } from './acknowledgement.ts';
import { handleSignal } from './signals.ts';
import { TemporalGate } from './temporal-gate.ts';
import { tracedWebhooks } from './traced-webhooks.ts';
import { handleWebhook } from './webhooks.ts';

/** Messages of one stream in hand at once: ten full batches, and at most a few MB. */
const MAX_IN_PROGRESS = 1000;
/** What is in hand when the relay is told to stop has this long, then goes back to the stream for another relay. */
const DRAIN_TIMEOUT_MS = 15_000;

/**
 * The relay: takes webhooks and signals from the streams and tells the actors. Keeps nothing; start as many as you like,
 * they share the work.
 */
await runService('relay', async ({ config, live, log, metrics, traces, stop }) => {
  const { temporal } = config;
  const connection = Connection.lazy({
    ...temporalOptions(temporal),
    // The gate does the waiting; gRPC's own would be up to two minutes.
    interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: 2 }))],
    channelArgs: { 'grpc.initial_reconnect_backoff_ms': 250, 'grpc.max_reconnect_backoff_ms': 2000 },
  });
  const client = new Client({ connection, namespace: temporal.namespace, dataConverter });
  const gate = new TemporalGate(connection, temporal.namespace, log);
  const link = new NatsLink(config.nats, `relay of ${config.name}`, log);
  const { handled, seconds, deadLetters: counter, batchSize, callSeconds, refused } = relayMetrics(metrics);
  const onResources = resourceMetrics(metrics);
  const actors = new WorkflowSignals({ client, gate, live, batchSize, callSeconds });
  const delegations = new Delegations({ client, gate, link, live });
  const settling = { deadLetters: new DeadLetters(link, log, counter), log, handled, seconds };
  const common = { link, capacity: MAX_IN_PROGRESS, mayTake: () => gate.isOpen, log };
  const webhooks = new Puller({
    ...common,
    stream: STREAMS.webhooks.name,
    durable: 'relay-webhooks',
    handle: withAcknowledgement(
      settling,
      tracedWebhooks(traces, (message) => handleWebhook(message, live.current, { actors, delegations })),
    ),
  });
  const signals = new Puller({
    ...common,
    stream: STREAMS.signals.name,
    durable: 'relay-signals',
    handle: withAcknowledgement(settling, (message) => handleSignal(message, live.current, { actors, onResources })),
  });
  const proxied = new Puller({
    ...common,
    stream: STREAMS.delegations.name,
    durable: 'relay-delegations',
    handle: withAcknowledgement(settling, (message) => delegations.handle(message)),
  });
  gate.onOpen(() => {
    proxied.resume();
    webhooks.resume();
    signals.resume();
  });
  watchPullers(
    metrics,
    new Map([
      [STREAMS.webhooks.name, webhooks],
      [STREAMS.signals.name, signals],
      [STREAMS.delegations.name, proxied],
    ]),
  );
  answerApplyRequests('relay', live, link, log);
  link.open();
  const serverLog = process.env[SERVER_LOG_ENV];
  if (serverLog) watchRefusals(serverLog, { refused, log, stop });

  return {
    ready: () => Promise.resolve(link.isUp && gate.isOpen),
    run: async () => {
      await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }));
      // Nobody knows when Temporal comes back: what waits for it is another relay's.
      if (!gate.isOpen) gate.end();
      const left = await Promise.all([webhooks, signals, proxied].map((puller) => puller.stop(DRAIN_TIMEOUT_MS)));
      gate.end();
      log.info({ webhooks: left[0], signals: left[1], delegations: left[2] }, 'drained; given back to the streams');
      await link.close(5000);
      await connection.close();
    },
  };
});
