import { heartbeat } from '@temporalio/activity';

/** Between heartbeats, milliseconds. */
const EVERY_MS = 3000;

/** Tells Temporal all the while that this activity is alive: when its worker dies, another takes it over soon. */
export async function withHeartbeats<T>(work: () => Promise<T>): Promise<T> {
  const beat = setInterval(() => heartbeat(), EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
  }
}
