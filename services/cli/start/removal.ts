import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../../../contracts/ports/backend.ts';
import { getErrorMessage } from '../../../contracts/errors.ts';
import type { TemporalView } from './temporal-view.ts';

/** How long cancelled runners may take to remove themselves. */
const REMOVAL_TIMEOUT_MS = 60_000;
/**
 * The same when only registrations are left of them: a forge keeps the registration of a runner whose job was running for
 * minutes. Their workflows continue with the next start.
 */
const REGISTRATION_TIMEOUT_MS = 4000;
const POLL_INTERVAL_MS = 250;
/** How long a backend may take to list or remove instances. */
const BACKEND_TIMEOUT_MS = 30_000;

/**
 * Ends all runners in order: starts no more, cancels every open runner, and waits until they have removed themselves.
 *
 * @returns the workflow ids of the runners that are still open after the timeout
 */
export async function endRunners(
  { temporal, backends }: { temporal: TemporalView; backends: readonly Backend[] },
  progress: (left: number) => void,
): Promise<string[]> {
  // Without a dispatcher there are no starts to pause.
  await temporal.pauseStarts().catch(() => undefined);
  const cancelled = new Set<string>();
  let reported = 0;
  let deadline = Date.now() + REMOVAL_TIMEOUT_MS;
  for (;;) {
    // Temporal's visibility lags: a runner that was just started may only show up now.
    const open = await temporal.listOpenRunners();
    for (const id of open) {
      if (cancelled.has(id)) continue;
      cancelled.add(id);
      // The runner may have ended meanwhile.
      await temporal.cancel(id).catch(() => undefined);
    }
    if (open.length === 0) return [];
    if (open.length !== reported) progress(open.length);
    reported = open.length;
    const instances = await listInstances(backends).catch(() => open);
    if (instances.length === 0) deadline = Math.min(deadline, Date.now() + REGISTRATION_TIMEOUT_MS);
    if (Date.now() > deadline) return open;
    await sleep(POLL_INTERVAL_MS);
  }
}

/** The runners of all instances that the backends still have. @throws BatonError when a backend doesn't answer */
export async function listInstances(backends: readonly Backend[]): Promise<string[]> {
  const lists = await Promise.all(backends.map((backend) => backend.list(AbortSignal.timeout(BACKEND_TIMEOUT_MS))));
  return lists.flat().map((instance) => instance.runner);
}

/** Removes all instances, whatever their state: the last resort, after {@link endRunners}. */
export async function removeInstances(backends: readonly Backend[], report: (line: string) => void): Promise<void> {
  for (const backend of backends) {
    try {
      const abort = AbortSignal.timeout(BACKEND_TIMEOUT_MS);
      for (const { runner } of await backend.list(abort)) {
        await backend.delete(runner, abort);
        report(`removed leftover instance ${runner}`);
      }
    } catch (error) {
      report(`removing leftover instances on ${backend.type}: ${getErrorMessage(error)}`);
    }
  }
}
