import { jobEvent } from '../../contracts/messages/job-event.ts';
import { toRelaySpans } from '../shared/tracing/job-spans.ts';
import type { Traces } from '../shared/tracing/span.ts';
import { parseMessage } from './parse-message.ts';
import type { StreamMessage } from './stream-message.ts';

type Handle = (message: StreamMessage) => Promise<string>;

/** Adds a span for each handled message to the job's trace. Without `traces` the handler is returned unchanged. */
export function traceWebhooks(traces: Traces | undefined, handle: Handle): Handle {
  if (traces === undefined) return handle;
  return async (message) => {
    const from = Date.now();
    const result = await handle(message);
    const times = { from, until: Date.now() };
    for (const span of toRelaySpans(parseMessage(jobEvent, message), times, {
      result,
      streamPosition: message.streamPosition,
    })) {
      traces.record(span);
    }
    return result;
  };
}
