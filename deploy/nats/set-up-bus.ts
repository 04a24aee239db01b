import { AckPolicy, DeliverPolicy, DiscardPolicy, NatsError, nanos, RetentionPolicy, StorageType } from 'nats';
import type { JetStreamManager, StreamConfig } from 'nats';
import { hashPlan, PLAN_KEY } from '../../contracts/lib/bus-check.ts';
import type { Bus } from '../../contracts/lib/nats.ts';
import { STREAMS, type StreamPlan } from '../../contracts/messages/streams.ts';
import { BatonError, getErrorMessage } from '../../contracts/errors.ts';

/** JetStream's error code: the stream exists with another configuration. */
const EXISTS_DIFFERENTLY = 10_058;
/** The stream delivers a message again when no relay acknowledged or extended it for this long. */
const ACK_TIMEOUT_MS = 30_000;
/** Of all relays together. */
const MAX_UNACKNOWLEDGED = 20_000;

export interface BusSetUpOptions {
  /** Copies of each message, in a cluster of NATS servers: 1, 3 or 5. Default 1. */
  replicas?: number;
}

/**
 * Creates the streams, key-value buckets and consumers of Baton, or changes them to what this version of Baton expects. Keeps
 * their messages; several may run it at the same time. Needs the credential `setup`: no service has these rights.
 *
 * @returns the names of the streams
 * @throws BatonError BUS_UNAVAILABLE, BUS_DENIED
 */
export async function setUpBus(bus: Bus, { replicas = 1 }: BusSetUpOptions = {}): Promise<string[]> {
  const jetstreamManager = await bus.jetstreamManager();
  const plans = Object.values<StreamPlan>(STREAMS);
  for (const plan of plans) {
    try {
      await setUpStream(jetstreamManager, plan, replicas);
    } catch (error) {
      const code = error instanceof NatsError && /PERMISSION/i.test(error.code) ? 'BUS_DENIED' : 'BUS_UNAVAILABLE';
      throw new BatonError(code, `setting up stream ${plan.name}: ${getErrorMessage(error)}`, { cause: error });
    }
  }
  return plans.map(({ name }) => name);
}

async function setUpStream(jetstreamManager: JetStreamManager, plan: StreamPlan, replicas: number): Promise<void> {
  const config = toStreamConfig(plan, replicas);
  try {
    await jetstreamManager.streams.add(config);
  } catch (error) {
    if (!(error instanceof NatsError) || error.api_error?.err_code !== EXISTS_DIFFERENTLY) throw error;
    await jetstreamManager.streams.update(plan.name, config);
  }
  if (plan.consumer === undefined) return;
  await jetstreamManager.consumers.add(plan.name, {
    durable_name: plan.consumer,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(ACK_TIMEOUT_MS),
    max_ack_pending: MAX_UNACKNOWLEDGED,
    // Unlimited: a message that reached the server's limit would stay in the stream unnoticed. The relay itself
    // decides when to give up, and then stores a dead letter (services/relay/acknowledgement.ts).
    max_deliver: -1,
  });
}

function toStreamConfig(plan: StreamPlan, replicas: number): Partial<StreamConfig> & { name: string } {
  const isQueue = plan.retention === 'workqueue';
  return {
    name: plan.name,
    subjects: plan.subjects,
    retention: isQueue ? RetentionPolicy.Workqueue : RetentionPolicy.Limits,
    storage: StorageType.File,
    num_replicas: replicas,
    discard: isQueue || plan.whenFull === 'refuse' ? DiscardPolicy.New : DiscardPolicy.Old,
    duplicate_window: plan.duplicateWindowNs,
    max_age: plan.maxAgeNs,
    max_bytes: plan.maxBytes,
    max_msg_size: plan.maxMessageBytes ?? -1,
    allow_direct: !isQueue,
    metadata: { [PLAN_KEY]: hashPlan(plan) },
    ...(plan.maxMessagesPerSubject === undefined
      ? {}
      : { max_msgs_per_subject: plan.maxMessagesPerSubject, discard_new_per_subject: true }),
    ...(plan.latestOnly ? { max_msgs_per_subject: 1, allow_rollup_hdrs: true, deny_delete: true } : {}),
  };
}
