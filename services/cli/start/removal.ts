import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { messageOf } from '../../../contracts/errors.ts';
import type { TemporalView } from './temporal-view.ts';

/** How long runners may take to remove themselves once cancelled, milliseconds. */
const REMOVAL_TIMEOUT_MS = 60_000;
/**
 * And how long when nothing but registrations is left of them: a forge keeps one whose job was running for minutes. Their
 * workflows go on with the next start.
 */
const REGISTRATION_TIMEOUT_MS = 4000;
const POLL_INTERVAL_MS = 250;
/** How long a backend may take to say or remove what is left, milliseconds. */
const BACKEND_TIMEOUT_MS = 30_000;

/**
 * Ends all runners in the orderly way: no more starts, every open runner cancelled, their own removal awaited.
 *
 * @returns the workflow ids of those that are still open when it was waited long enough
 */
export async function endRunners(
  { temporal, backends }: { temporal: TemporalView; backends: readonly Backend[] },
  progress: (left: number) => void,
): Promise<string[]> {
  // Where there is no dispatcher yet, there is nothing to hold back.
  await temporal.pauseStarts().catch(() => undefined);
  const cancelled = new Set<string>();
  let told = 0;
  let deadline = Date.now() + REMOVAL_TIMEOUT_MS;
  for (;;) {
    // Visibility lags a little: one that was just started may only show up now.
    const open = await temporal.listOpenRunners();
    for (const id of open) {
      if (cancelled.has(id)) continue;
      cancelled.add(id);
      // It may have ended meanwhile, which is all that is asked of it.
      await temporal.cancel(id).catch(() => undefined);
    }
    if (open.length === 0) return [];
    if (open.length !== told) progress(open.length);
    told = open.length;
    const instances = await listInstances(backends).catch(() => open);
    if (instances.length === 0) deadline = Math.min(deadline, Date.now() + REGISTRATION_TIMEOUT_MS);
    if (Date.now() > deadline) return open;
    await sleep(POLL_INTERVAL_MS);
  }
}

/** Names of the instances that the backends still have. Throws when a backend gives no answer. */
export async function listInstances(backends: readonly Backend[]): Promise<string[]> {
  const lists = await Promise.all(backends.map((backend) => backend.list(AbortSignal.timeout(BACKEND_TIMEOUT_MS))));
  return lists.flat().map((instance) => instance.runner);
}

/** Removes the instances that are still there, whatever their state: the last resort, after {@link endRunners}. */
export async function removeInstances(backends: readonly Backend[], report: (line: string) => void): Promise<void> {
  for (const backend of backends) {
    try {
      const abort = AbortSignal.timeout(BACKEND_TIMEOUT_MS);
      for (const { runner } of await backend.list(abort)) {
        await backend.delete(runner, abort);
        report(`removed instance ${runner}, which was left over`);
      }
    } catch (error) {
      report(`looking for instances left over on ${backend.type}: ${messageOf(error)}`);
    }
  }
}
