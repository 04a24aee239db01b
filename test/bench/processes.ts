import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second in /proc: 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

export interface Usage {
  /** User and system time, milliseconds; includes children that have ended and were waited for. */
  cpuMs: number;
  /** Resident memory, bytes. */
  rss: number;
}

interface Entry extends Usage {
  pid: number;
  parent: number;
}

/** The usage of each named process and its descendants. Linux only: elsewhere all figures are zero. */
export function measureUsage(roots: ReadonlyMap<string, number>): Map<string, Usage> {
  const all = readProcesses();
  const below = new Map<number, Entry[]>();
  for (const entry of all) below.set(entry.parent, [...(below.get(entry.parent) ?? []), entry]);
  const byPid = new Map(all.map((entry) => [entry.pid, entry]));
  const sum = (pid: number): Usage => {
    const own = byPid.get(pid) ?? { cpuMs: 0, rss: 0 };
    let { cpuMs, rss } = own;
    for (const child of below.get(pid) ?? []) {
      const usage = sum(child.pid);
      cpuMs += usage.cpuMs;
      rss += usage.rss;
    }
    return { cpuMs, rss };
  };
  return new Map([...roots].map(([name, pid]) => [name, sum(pid)]));
}

export interface CpuFigures {
  /** CPU time of all measured processes, milliseconds. */
  cpuMsPerJob: number;
  /** The same by process. */
  cpuMsPerJobByProcess: Record<string, number>;
}

/** The CPU time per job between two measurements. */
export function computeCpu(
  before: ReadonlyMap<string, Usage>,
  after: ReadonlyMap<string, Usage>,
  jobs: number,
): CpuFigures {
  const cpuMsPerJobByProcess = Object.fromEntries(
    [...after].map(([name, { cpuMs }]) => [name, (cpuMs - (before.get(name)?.cpuMs ?? 0)) / jobs]),
  );
  return {
    cpuMsPerJobByProcess,
    cpuMsPerJob: Object.values(cpuMsPerJobByProcess).reduce((sum, value) => sum + value, 0),
  };
}

function readProcesses(): Entry[] {
  const entries: Entry[] = [];
  let pids: string[];
  try {
    pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  for (const pid of pids) {
    try {
      // The name in parentheses may contain anything; the fields after it begin with number 3, the state (proc(5)).
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const field = (number: number): number => Number(fields[number - 3]);
      const ticks = field(14) + field(15) + field(16) + field(17);
      entries.push({
        pid: Number(pid),
        parent: field(4),
        cpuMs: (ticks * 1000) / TICKS_PER_SECOND,
        rss: field(24) * PAGE_BYTES,
      });
    } catch {
      // The process has ended meanwhile.
    }
  }
  return entries;
}
