import { Client, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor } from '@temporalio/client';
import { STREAMS } from '../../contracts/messages/streams.ts';
import { answerApplyRequests } from '../shared/apply-requests.ts';
import { NatsLink } from '../shared/nats-link.ts';
import { dataConverter } from '../shared/payload-codec.ts';
import { createRefusedRequests } from '../shared/request-server.ts';
import { runService } from '../shared/service.ts';
import { NewestConfig } from '../shared/newest-config/newest-config.ts';
import { toTemporalOptions } from '../shared/temporal-options.ts';
import { routeByNewest } from './newest-routing.ts';
import { WorkflowSignals } from './workflow-signals.ts';
import { DeadLetters } from './dead-letters.ts';
import { Delegations } from './delegations.ts';
import { registerPullerMetrics, registerRelayMetrics } from './metrics.ts';
import { registerResourceMetrics } from './resource-metrics.ts';
import { Puller } from './puller.ts';
import { SERVER_LOG_ENV, watchNatsRefusals } from './refusals.ts';
import { withAcknowledgement } from './acknowledgement.ts';
import { SignalLimiter } from './signal-limiter.ts';
import { handleDeath, handleSignal, limitDeadLetters } from './signals.ts';
import { TemporalGate } from './temporal-gate.ts';
import { traceWebhooks } from './trace-webhooks.ts';
import { handleWebhook } from './webhooks.ts';

/** Messages of one stream in progress at once: ten full batches of signals, and at most a few MB. */
const MAX_IN_PROGRESS = 1000;
/** How long messages in progress may take after the stop signal; then they return to the stream for another relay. */
const DRAIN_TIMEOUT_MS = 15_000;

/**
 * The relay pulls webhooks, signals and delegations from their streams and signals the workflows. It stores nothing:
 * any number of relays share the work.
 */
await runService('relay', async ({ config, live, log, metrics, traces, stop }) => {
  const { temporal } = config;
  const connection = Connection.lazy({
    ...toTemporalOptions(temporal),
    // The gate waits for Temporal; gRPC itself would wait up to two minutes.
    interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: 2 }))],
    channelArgs: { 'grpc.initial_reconnect_backoff_ms': 250, 'grpc.max_reconnect_backoff_ms': 2000 },
  });
  const client = new Client({ connection, namespace: temporal.namespace, dataConverter });
  const gate = new TemporalGate(connection, temporal.namespace, log);
  const link = new NatsLink(config.nats, 'relay', `relay of ${config.name}`, log);
  const {
    handled,
    seconds,
    deadLetters: counter,
    dropped,
    batchSize,
    callSeconds,
    refused,
  } = registerRelayMetrics(metrics);
  const recordResources = registerResourceMetrics(metrics);
  const newest = new NewestConfig({ live, metrics, log, mayRollBack: false });
  const workflowSignals = new WorkflowSignals({ client, gate, live, batchSize, callSeconds });
  const delegations = new Delegations({ client, gate, link, live });
  const acknowledgement = { deadLetters: new DeadLetters(link, log, counter), log, handled, seconds };
  const limiter = new SignalLimiter({ dropped, log });
  const common = { link, capacity: MAX_IN_PROGRESS, gate, log };
  const webhooks = new Puller({
    ...common,
    stream: STREAMS.webhooks.name,
    durable: STREAMS.webhooks.consumer,
    handle: withAcknowledgement(
      acknowledgement,
      traceWebhooks(traces, (message) =>
        routeByNewest({ live, newest }, (current) => handleWebhook(message, current, { workflowSignals, delegations })),
      ),
    ),
  });
  const signals = new Puller({
    ...common,
    stream: STREAMS.signals.name,
    durable: STREAMS.signals.consumer,
    handle: withAcknowledgement({ ...acknowledgement, admitDeadLetter: limitDeadLetters(limiter) }, (message) =>
      handleSignal(message, live.current, { workflowSignals, recordResources, limiter }),
    ),
  });
  const instances = new Puller({
    ...common,
    stream: STREAMS.instances.name,
    durable: STREAMS.instances.consumer,
    handle: withAcknowledgement(acknowledgement, (message) => handleDeath(message, live.current, workflowSignals)),
  });
  const delegated = new Puller({
    ...common,
    stream: STREAMS.delegations.name,
    durable: STREAMS.delegations.consumer,
    handle: withAcknowledgement(acknowledgement, (message) =>
      routeByNewest({ live, newest }, () => delegations.handle(message)),
    ),
  });
  registerPullerMetrics(
    metrics,
    new Map([
      [STREAMS.webhooks.name, webhooks],
      [STREAMS.signals.name, signals],
      [STREAMS.instances.name, instances],
      [STREAMS.delegations.name, delegated],
    ]),
  );
  answerApplyRequests('relay', live, link, { log, refused: createRefusedRequests(metrics) });
  let isFollowing = false;
  link.onUp((bus) => {
    newest.open(bus);
    if (!isFollowing) void newest.run(stop);
    isFollowing = true;
  });
  link.open();
  const serverLog = process.env[SERVER_LOG_ENV];
  if (serverLog) watchNatsRefusals(serverLog, { refused, log, stop });

  return {
    ready: () => Promise.resolve(link.isUp && gate.isOpen && newest.isKnown),
    run: async () => {
      await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }));
      // Temporal may stay unavailable for long: messages that wait for it go to another relay at once.
      if (!gate.isOpen) gate.end();
      const pullers = [webhooks, signals, instances, delegated];
      const left = await Promise.all(pullers.map((puller) => puller.stop(DRAIN_TIMEOUT_MS)));
      gate.end();
      log.info(
        { webhooks: left[0], signals: left[1], instances: left[2], delegations: left[3] },
        'relay drained: unfinished messages returned to the streams',
      );
      await link.close(5000);
      await connection.close();
    },
  };
});
