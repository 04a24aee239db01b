import { expect } from 'vitest';
import type { Cluster } from './cluster.ts';
import { findClusterLeftovers } from './find-leftovers.ts';
import { until } from './until.ts';

/**
 * Waits for the removals that are under way, then holds that nothing at all is left. A runner that the forge calls busy
 * is asked about after 2, 6, 14, 30 and 62 s: the time-out lets it miss one of these.
 */
export async function expectNothingLeft(cluster: Cluster, timeoutMs = 100_000): Promise<void> {
  await until(
    async () => {
      const left = Object.entries(await findClusterLeftovers(cluster)).filter(([, things]) => things.length > 0);
      expect(Object.fromEntries(left)).toEqual({});
    },
    { timeoutMs, what: 'nothing of the cluster is left' },
  );
}
