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
