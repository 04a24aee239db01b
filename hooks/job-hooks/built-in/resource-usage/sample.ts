import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';

/** The counters of this machine, or of this container if it has its own. Bytes; CPU in core seconds. */
export interface Counters {
  cpuSeconds: number;
  /** In use now, without page cache that can be freed. */
  memory: number;
  read: number;
  written: number;
  received: number;
  sent: number;
}

/** How much this machine, or this container, has. */
export interface MachineCapacity {
  cores: number;
  memory: number;
}

const CGROUP = '/sys/fs/cgroup';
/** This file exists only below the root of cgroup v2: in a container or a systemd unit. */
const inCgroup = existsSync(`${CGROUP}/memory.current`);
const SECTOR = 512;

export function readCapacity(): MachineCapacity {
  const [quota, period] = inCgroup ? text(`${CGROUP}/cpu.max`).split(/\s+/).map(Number) : [];
  const limit = inCgroup ? Number(text(`${CGROUP}/memory.max`)) : Number.NaN;
  const cores = availableParallelism();
  return {
    cores: quota && period ? Math.min(cores, quota / period) : cores,
    memory: limit > 0 ? Math.min(limit, totalmem()) : totalmem(),
  };
}

/** Reads all counters; one that this system lacks stays 0. */
export function readCounters(): Counters {
  return { cpuSeconds: cpuSeconds(), memory: memory(), ...disk(), ...network() };
}

function cpuSeconds(): number {
  if (inCgroup) return matchNumber(text(`${CGROUP}/cpu.stat`), /^usage_usec (\d+)/m) / 1e6;
  const line = text('/proc/stat').split('\n', 1)[0] ?? '';
  if (line.startsWith('cpu ')) {
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.trim().split(/\s+/).slice(1).map(Number);
    return (user + nice + system + irq + softirq) / 100;
  }
  return cpus().reduce((sum, { times }) => sum + (times.user + times.nice + times.sys + times.irq) / 1000, 0);
}

function memory(): number {
  if (inCgroup) {
    const current = Number(text(`${CGROUP}/memory.current`));
    return Math.max(0, current - matchNumber(text(`${CGROUP}/memory.stat`), /^inactive_file (\d+)/m));
  }
  const available = matchNumber(text('/proc/meminfo'), /^MemAvailable:\s+(\d+)/m) * 1024;
  return totalmem() - (available > 0 ? available : freemem());
}

function disk(): Pick<Counters, 'read' | 'written'> {
  const stat = inCgroup ? text(`${CGROUP}/io.stat`) : '';
  if (stat !== '') {
    const sum = (name: string): number =>
      [...stat.matchAll(new RegExp(`${name}=(\\d+)`, 'g'))].reduce((total, match) => total + Number(match[1]), 0);
    return { read: sum('rbytes'), written: sum('wbytes') };
  }
  let read = 0;
  let written = 0;
  for (const line of text('/proc/diskstats').split('\n')) {
    const fields = line.trim().split(/\s+/);
    // Whole disks: partitions would count the same bytes again.
    if (!disks().has(fields[2] ?? '')) continue;
    read += Number(fields[5] ?? 0) * SECTOR;
    written += Number(fields[9] ?? 0) * SECTOR;
  }
  return { read, written };
}

let known: Set<string> | undefined;

/** Physical disks. Devices on top of them (loop, device mapper, RAID) would count the same bytes again. */
function disks(): Set<string> {
  known ??= new Set(names('/sys/block').filter((name) => !/^(loop|ram|zram|dm-|md|sr)/.test(name)));
  return known;
}

function network(): Pick<Counters, 'received' | 'sent'> {
  let received = 0;
  let sent = 0;
  for (const line of text('/proc/net/dev').split('\n')) {
    const [name = '', rest] = line.split(':');
    if (rest === undefined || name.trim() === 'lo') continue;
    const fields = rest.trim().split(/\s+/);
    received += Number(fields[0] ?? 0);
    sent += Number(fields[8] ?? 0);
  }
  return { received, sent };
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

const matchNumber = (content: string, pattern: RegExp): number => Number(pattern.exec(content)?.[1] ?? 0);
