import { heartbeat } from '@temporalio/activity';

const HEARTBEAT_INTERVAL_MS = 3000;

/**
 * Sends heartbeats to Temporal while the work runs: if this worker dies, another soon takes the activity over. A
 * cancellation arrives in the answer to a heartbeat.
 */
export async function withHeartbeats<T>(work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => heartbeat(), HEARTBEAT_INTERVAL_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
