import { Counter, Histogram, type Registry } from 'prom-client';
import type { JobResources } from '../../contracts/messages/job-resources.ts';

const MIB = 1024 ** 2;

/** Records the resources that one job of the group used. */
export type RecordResources = (group: string, used: JobResources) => void;

/** Registers the metrics of what jobs used, which the wrapper `resource-usage` measures. */
export function registerResourceMetrics(registry: Registry): RecordResources {
  const on = { registers: [registry] };
  const cores = new Histogram({
    ...on,
    name: 'baton_job_cpu_cores',
    help: 'CPU cores that a job used, by group and statistic (average, peak).',
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
    help: 'Bytes that jobs transferred, by group and way (disk: read, written; network: received, sent).',
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
