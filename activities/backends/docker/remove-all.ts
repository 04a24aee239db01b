import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '../../../contracts/errors.ts';
import { forAll } from '../for-all.ts';

const PAUSE_MS = 100;

/** How one kind of resource is removed: all that is listed, until nothing is listed any more. */
interface RemovalOf<T> {
  /** For error messages: `removing container x`. */
  doing: string;
  /** How long the engine may take, milliseconds. */
  timeoutMs: number;
  list: () => Promise<T[]>;
  /** Resolves with why the engine does not remove it yet; undefined where it did, or has none. */
  remove: (item: T) => Promise<string | undefined>;
}

/**
 * Removes everything that `list` returns; resolves when it returns nothing.
 *
 * @throws BatonError what `list` or `remove` throws; BACKEND_UNAVAILABLE when something is still there after the time
 */
export async function removeAll<T>(
  { doing, timeoutMs, list, remove }: RemovalOf<T>,
  abort: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let notYet: string | undefined;
  for (let attempt = 0; ; attempt++) {
    const items = await list();
    if (items.length === 0) return;
    if (attempt > 0) {
      if (Date.now() > deadline) {
        throw new BatonError('BACKEND_UNAVAILABLE', `${doing}: ${notYet ?? 'the engine doesn’t finish it'}`);
      }
      await sleep(PAUSE_MS, undefined, { signal: abort });
    }
    await forAll(items, async (item) => {
      notYet = (await remove(item)) ?? notYet;
    });
  }
}
