import { formatDuration } from '../../contracts/format.ts';
import type { ChaosResult } from './run.ts';

/** One line with the figures of a run. */
export function formatResult(seed: number, result: ChaosResult): string {
  const { problems, hash, jobs, faults, durationMs, longestWaitMs, conclusions } = result;
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const verdict = problems.length === 0 ? 'green' : `${problems.length} problems`;
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return [
    `seed ${seed}: ${verdict}`,
    `schedule ${hash}`,
    `${jobs} jobs (${formatCounts(conclusions)})`,
    `${total} faults (${formatCounts(faults)})`,
    `took ${formatDuration(durationMs)}`,
    `longest wait after the last fault ${seconds(longestWaitMs)}`,
  ].join('; ');
}

/** The problems, the timeline around them and how to run the same again. */
export function formatFailure(command: string, { problems, timeline, hash }: ChaosResult): string {
  return [
    `chaos: ${problems.length} problems; run it again: ${command} (schedule ${hash})`,
    ...problems.map(({ rule, text }) => `- ${rule}: ${text}`),
    '',
    timeline,
  ].join('\n');
}

function formatCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

/**
 * The results of seeds that ran one after the other, perhaps on several days.
 *
 * @param before what is written already: a seed that ran again replaces its line, the others stay
 * @param added lines of {@link formatResult}
 */
export function mergeResults(before: string, added: readonly string[]): string[] {
  const bySeed = new Map(
    [...before.split('\n'), ...added].flatMap((line): [number, string][] => {
      const seed = /^seed (\d+): /.exec(line)?.[1];
      return seed === undefined ? [] : [[Number(seed), line]];
    }),
  );
  return [...bySeed].toSorted(([a], [b]) => a - b).map(([, line]) => line);
}
