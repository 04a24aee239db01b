import { createHash } from 'node:crypto';
import { NatsError } from 'nats';
import { BatonError, getErrorMessage } from '../errors.ts';
import type { StreamPlan } from '../messages/streams.ts';
import type { Bus } from './nats.ts';

/** JetStream's error codes. */
const NOT_FOUND = new Set([10_059, 10_014]);

/** In the metadata of a stream: the plan that it was made by. */
export const PLAN_KEY = 'baton.plan';

/** Changes whenever the plan of a stream does. */
export function hashPlan(plan: StreamPlan): string {
  return createHash('sha256').update(JSON.stringify(plan)).digest('hex').slice(0, 16);
}

/**
 * Whether NATS has the streams that a service uses. No service creates one: who may do that may also read and forge everything.
 *
 * @returns the names of streams that another version of Baton made
 * @throws BatonError BUS_NOT_SET_UP: one is missing; BUS_UNAVAILABLE
 */
export async function checkStreams(bus: Bus, plans: readonly StreamPlan[]): Promise<string[]> {
  const jetstreamManager = await bus.jetstreamManager();
  const different: string[] = [];
  for (const plan of plans) {
    try {
      const { config } = await jetstreamManager.streams.info(plan.name);
      if (config.metadata?.[PLAN_KEY] !== hashPlan(plan)) different.push(plan.name);
    } catch (error) {
      const isMissing = error instanceof NatsError && NOT_FOUND.has(error.api_error?.err_code ?? 0);
      const code = isMissing ? 'BUS_NOT_SET_UP' : 'BUS_UNAVAILABLE';
      throw new BatonError(code, `using stream ${plan.name}: ${getErrorMessage(error)}`, { cause: error });
    }
  }
  return different;
}
