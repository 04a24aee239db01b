import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { formatTable } from '../../services/cli/lib/text-table.ts';
import type { Result } from './scenario.ts';

/** Targets on 2 cores that do nothing else. */
const TARGETS = [
  'targets: 1/s create p50 ≤ 40 ms, p99 ≤ 100 ms; burst of 50 p99 ≤ 800 ms; of 500 p99 ≤ 8 s; of 5,000 all ≤ 120 s, none lost;',
  'ack p99 ≤ 25 ms in all, timed by the sender’s own process; ≤ 28 history events a runner; orchestrator ≤ 1,000 MB after all',
].join('\n');

/** A time for people. */
export const ms = (value: number): string =>
  value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;

/** The scenarios' table, and what each process used. */
export function scenarioText(
  results: ReadonlyMap<string, Result>,
  rssMb: Record<string, number>,
  deliveriesAtOnce: number,
): string {
  const heading = ['scenario', 'jobs', 'created', 'lost', 'ack p50', 'ack p99', 'create p50', 'create p99'];
  const rows = [...results].map(([name, result]) => [
    name,
    String(result.jobs),
    String(result.created),
    String(result.lost),
    ms(result.ackP50Ms),
    ms(result.ackP99Ms),
    ms(result.createP50Ms),
    ms(result.createP99Ms),
    ms(result.allCreatedMs),
    `${result.cpuMsPerJob.toFixed(1)} ms`,
    String(result.historyEventsPerRunner),
    `${(result.historyBytesPerRunner / 1024).toFixed(1)} kB`,
  ]);
  return [
    formatTable([[...heading, 'all created', 'CPU/job', 'events', 'history'], ...rows]),
    '',
    ...[...results].map(
      ([name, { cpuMsPerJobByProcess }]) => `CPU of ${name} (ms a job): ${figures(cpuMsPerJobByProcess, 1)}`,
    ),
    `RSS after all of it (MB): ${figures(rssMb, 0)}`,
    `${machine()}; ${deliveriesAtOnce} deliveries at once`,
    versions(),
    TARGETS,
  ].join('\n');
}

/** `name 1.2, other 3.4`. */
export function figures(values: Record<string, number>, digits: number): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toFixed(digits)}`)
    .join(', ');
}

export function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim() || 'processor'}, ${Math.round(totalmem() / 1024 ** 3)} GiB`;
}

export function versions(): string {
  const dependency = (name: string): string => {
    const text = readFileSync(new URL(`../../node_modules/${name}/package.json`, import.meta.url), 'utf8');
    return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? '?';
  };
  return `Node ${process.version}, Temporal SDK ${dependency('@temporalio/worker')}, nats.js ${dependency('nats')}`;
}
