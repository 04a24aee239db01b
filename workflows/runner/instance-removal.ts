import { condition } from '@temporalio/workflow';
import type { RunnerInput } from '../../contracts/workflows/runner.ts';
import { findRootMessage } from '../lib/failure.ts';
import { computeDelay, type GrowingDelay } from '../lib/growing-delay.ts';
import { proxyDeleteInstance } from './activities.ts';

/** How long a removal waits before it asks a backend again that refused. What gets no answer is retried sooner. */
const REFUSED_DELAY_MS: GrowingDelay = { first: 2000, max: 600_000 };

/**
 * Removes a runner's instance, for as long as it takes: no answer of the backend can fail it, and the slot stays taken until the
 * instance is certainly gone.
 *
 * @param onRefused called with the backend's reason whenever it refuses
 * @param mustStop whether to give up, so that the workflow continues as new
 * @returns whether it is gone
 */
export async function removeInstance(
  { settings, runner }: RunnerInput,
  onRefused: (reason: string) => void,
  mustStop: () => boolean,
): Promise<boolean> {
  const { deleteInstance } = proxyDeleteInstance(settings, runner);
  for (let tries = 0; ; tries++) {
    try {
      await deleteInstance({ runner });
      return true;
    } catch (error) {
      onRefused(findRootMessage(error));
    }
    if (mustStop()) return false;
    const pause = computeDelay(REFUSED_DELAY_MS, tries);
    await condition(mustStop, pause, { summary: 'the backend refused to delete the instance: it is asked again' });
    if (mustStop()) return false;
  }
}
