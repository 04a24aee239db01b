import { formatBytes, formatDuration } from '../format.ts';
import type { JobResources } from './job-resources.ts';

/** What a job used, as one clause for people to read: `0.7 of 2 cores (peak 1.9), 812 MiB of 7.8 GiB (peak), over 3m 2s`. */
export function describeResources({ cpu, memory, seconds }: JobResources): string {
  const cores = `${cpu.average.toFixed(1)} of ${Number(cpu.cores.toFixed(1))} cores (peak ${cpu.peak.toFixed(1)})`;
  return `${cores}, ${formatBytes(memory.peak)} of ${formatBytes(memory.total)} (peak), over ${formatDuration(seconds * 1000)}`;
}
