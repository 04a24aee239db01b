import { Counter, Histogram, type Registry } from 'prom-client';
import type { JobResources } from '../../contracts/messages/job-resources.ts';

const MIB = 1024 ** 2;

/** Metrics of what jobs used, as the wrapper `resource-usage` tells it. @returns takes one job's */
export function resourceMetrics(registers: Registry): (group: string, used: JobResources) => void {
  const on = { registers: [registers] };
  const cores = new Histogram({
    ...on,
    name: 'baton_job_cpu_cores',
    help: 'Cores that a job used, by group and statistic (average, peak).',
    labelNames: ['group', 'statistic'] as const,
    buckets: [0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64],
  });
  const memory = new Histogram({
    ...on,
    name: 'baton_job_memory_bytes',
    help: 'Memory that a job used, by group and statistic (average, peak).',
    labelNames: ['group', 'statistic'] as const,
    buckets: [256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536].map((size) => size * MIB),
  });
  const moved = new Counter({
    ...on,
    name: 'baton_job_moved_bytes_total',
    help: 'Bytes that jobs moved, by group and way (read, written, received, sent).',
    labelNames: ['group', 'way'] as const,
  });
  return (group, used) => {
    for (const statistic of ['average', 'peak'] as const) {
      cores.observe({ group, statistic }, used.cpu[statistic]);
      memory.observe({ group, statistic }, used.memory[statistic]);
    }
    const { read, written } = used.disk;
    const { received, sent } = used.network;
    for (const [way, bytes] of Object.entries({ read, written, received, sent })) moved.inc({ group, way }, bytes);
  };
}
