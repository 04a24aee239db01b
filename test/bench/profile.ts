import { readFileSync } from 'node:fs';
import { computeCpu, measureUsage, type Usage } from './processes.ts';

/** Where the time of a burst goes, from its first webhook to the last created instance. */
export interface Profile {
  seconds: number;
  /** CPU time of Baton's processes and of its servers, milliseconds a job. */
  cpuMsPerJob: Record<string, number>;
  /** The simulator and the bench, which share a process. */
  forgeMsPerJob: number;
  /** All other CPU time of the machine: the webhooks' sender, the instances, the system. */
  otherMsPerJob: number;
  /** What no process used, all cores together. */
  idleMsPerJob: number;
  /** Temporal's writes and reads of its database, those that take the most time first. */
  database: DatabaseOperation[];
}

export interface DatabaseOperation {
  name: string;
  perJob: number;
  /** How long they took, with their wait for the database: more than their CPU time. */
  msPerJob: number;
}

interface Sample {
  at: number;
  usage: Map<string, Usage>;
  forgeMs: number;
  machine: { busyMs: number; idleMs: number };
  database: Map<string, { count: number; seconds: number }>;
}

const MS_PER_TICK = 10;
const SHOWN_OPERATIONS = 8;

/** Measures one burst: made when it begins, asked when the last instance exists. */
export class Profiler {
  readonly #roots: ReadonlyMap<string, number>;
  readonly #temporalMetricsUrl: string;
  readonly #before: Sample;

  private constructor(roots: ReadonlyMap<string, number>, temporalMetricsUrl: string, before: Sample) {
    this.#roots = roots;
    this.#temporalMetricsUrl = temporalMetricsUrl;
    this.#before = before;
  }

  /** @param roots the measured processes by name @param temporalMetricsUrl where Temporal serves its Prometheus metrics */
  static async begin(roots: ReadonlyMap<string, number>, temporalMetricsUrl: string): Promise<Profiler> {
    return new Profiler(roots, temporalMetricsUrl, await takeSample(roots, temporalMetricsUrl));
  }

  async end(jobs: number): Promise<Profile> {
    const before = this.#before;
    const after = await takeSample(this.#roots, this.#temporalMetricsUrl);
    const { cpuMsPerJobByProcess, cpuMsPerJob } = computeCpu(before.usage, after.usage, jobs);
    const forgeMsPerJob = (after.forgeMs - before.forgeMs) / jobs;
    const busyMsPerJob = (after.machine.busyMs - before.machine.busyMs) / jobs;
    const database = [...after.database].map(([name, { count, seconds }]) => ({
      name,
      perJob: (count - (before.database.get(name)?.count ?? 0)) / jobs,
      msPerJob: ((seconds - (before.database.get(name)?.seconds ?? 0)) * 1000) / jobs,
    }));
    return {
      seconds: (after.at - before.at) / 1000,
      cpuMsPerJob: cpuMsPerJobByProcess,
      forgeMsPerJob,
      otherMsPerJob: busyMsPerJob - cpuMsPerJob - forgeMsPerJob,
      idleMsPerJob: (after.machine.idleMs - before.machine.idleMs) / jobs,
      database: database.toSorted((a, b) => b.msPerJob - a.msPerJob).slice(0, SHOWN_OPERATIONS),
    };
  }
}

async function takeSample(roots: ReadonlyMap<string, number>, metricsUrl: string): Promise<Sample> {
  const database = readDatabaseOperations(await (await fetch(metricsUrl)).text());
  const { user, system } = process.cpuUsage();
  return {
    at: Date.now(),
    usage: measureUsage(roots),
    forgeMs: (user + system) / 1000,
    machine: readMachine(),
    database,
  };
}

/** Linux only: the first line of /proc/stat, see proc(5). */
function readMachine(): Sample['machine'] {
  const [, user = 0, nice = 0, system = 0, idle = 0, ioWait = 0, irq = 0, softIrq = 0] = readFileSync(
    '/proc/stat',
    'utf8',
  )
    .split('\n', 1)
    .join('')
    .split(/\s+/)
    .map(Number);
  return {
    busyMs: (user + nice + system + irq + softIrq) * MS_PER_TICK,
    idleMs: (idle + ioWait) * MS_PER_TICK,
  };
}

/** Counts and times by operation, from Temporal's metrics in Prometheus' text format; all of its services together. */
export function readDatabaseOperations(metrics: string): Map<string, { count: number; seconds: number }> {
  const operations = new Map<string, { count: number; seconds: number }>();
  const line = /^(visibility_)?persistence_latency_(sum|count)\{.*?operation="([^"]+)".*\} (\S+)$/gm;
  for (const [, visibility, kind, operation = '', value] of metrics.matchAll(line)) {
    const name = visibility === undefined ? operation : `visibility: ${operation}`;
    const known = operations.get(name) ?? { count: 0, seconds: 0 };
    if (kind === 'count') known.count += Number(value);
    else known.seconds += Number(value);
    operations.set(name, known);
  }
  return operations;
}

/** The profile of each scenario for people. */
export function formatProfiles(profiles: ReadonlyMap<string, Profile>): string {
  return [...profiles]
    .map(([name, { seconds, cpuMsPerJob, forgeMsPerJob, otherMsPerJob, idleMsPerJob, database }]) => {
      const processes = {
        ...cpuMsPerJob,
        'forge and bench': forgeMsPerJob,
        'sender, instances, system': otherMsPerJob,
      };
      const all = Object.values(processes).reduce((sum, value) => sum + value, idleMsPerJob);
      const share = (value: number): string => `${((100 * value) / all).toFixed(0)} %`;
      const rows = Object.entries(processes)
        .toSorted(([, a], [, b]) => b - a)
        .concat([['idle', idleMsPerJob]]);
      return [
        `${name}: ${seconds.toFixed(1)} s until the last instance; of all cores, a job takes ${all.toFixed(1)} ms:`,
        ...rows.map(([what, value]) => `  ${what}: ${value.toFixed(1)} ms, ${share(value)}`),
        'Temporal’s database, how often a job needs what, and how long all of it takes:',
        ...database.map((row) => `  ${row.name}: ${row.perJob.toFixed(1)} ×, ${row.msPerJob.toFixed(1)} ms`),
      ].join('\n');
    })
    .join('\n\n');
}
