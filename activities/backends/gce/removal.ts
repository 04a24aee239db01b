import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError, getErrorMessage } from '../../../contracts/errors.ts';
import { forAll } from '../for-all.ts';
import type { GceInstance } from './answers.ts';
import type { Compute } from './compute.ts';
import { formatErrors, isOutOfCapacity, isTaken, toRemovalError } from './errors.ts';

/** The delay before looking again at an instance that is being deleted or changed. */
const BUSY_DELAY_MS = 500;

interface Removal {
  runner: string;
  compute: Compute;
  /** How long all of it may take, milliseconds. */
  timeoutMs: number;
  find: (abort: AbortSignal) => Promise<GceInstance[]>;
}

/**
 * Deletes what `find` returns until it returns nothing.
 *
 * @throws BatonError what a call threw; BACKEND_UNAVAILABLE when it is not finished after the time
 */
export async function deleteAll({ runner, compute, timeoutMs, find }: Removal, abort: AbortSignal): Promise<void> {
  const limit = AbortSignal.timeout(timeoutMs);
  const bound = AbortSignal.any([abort, limit]);
  let notYet = 'no answer in time';
  try {
    for (let attempt = 0; ; attempt++) {
      const found = await find(bound);
      if (found.length === 0) return;
      if (attempt > 0) await sleep(BUSY_DELAY_MS, undefined, { signal: bound });
      await forAll(found, async (instance) => {
        notYet = (await deleteInstance(compute, instance, bound)) ?? notYet;
      });
    }
  } catch (error) {
    if (abort.aborted || !limit.aborted || error instanceof BatonError) throw error;
    throw new BatonError('BACKEND_UNAVAILABLE', `deleting ${runner}: Compute Engine does not finish it: ${notYet}`);
  }
}

/** Resolves with why the instance can't be deleted yet; undefined where it was, or there is none. */
export async function deleteInstance(
  compute: Compute,
  { zone, name }: GceInstance,
  abort: AbortSignal,
): Promise<string | undefined> {
  const operation = await compute.delete(zone, name, abort).catch(toBusy);
  if (typeof operation !== 'object') return operation;
  const { error } = await compute.wait(zone, operation, abort);
  const failure = toRemovalError(`deleting ${name} in ${zone}`, error);
  if (failure !== undefined) throw failure;
  return formatErrors(error) || undefined;
}

/** Why it is being changed or deleted by another client. */
function toBusy(error: unknown): string {
  if (error instanceof BatonError && (isTaken(error) || isOutOfCapacity(error))) return getErrorMessage(error);
  throw error;
}
