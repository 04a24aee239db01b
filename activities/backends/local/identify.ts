import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Identifies a process, and distinguishes it from a later one with the same pid. */
export interface ProcessIdentity {
  pid: number;
  /** When it started: on Linux the boot id and the clock ticks since the boot; elsewhere lstart of ps. */
  started: string;
}

const LINUX = process.platform === 'linux';

let boot: string | undefined;

function bootId(): string {
  boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return boot;
}

/**
 * Identifies the process that has this pid now; undefined when there is none. Reads /proc synchronously: it is in
 * memory, and reading it through the thread pool costs ten times as much.
 */
export function identify(pid: number): (ProcessIdentity & { zombie: boolean; parent: number }) | undefined {
  return LINUX ? identifyByProc(pid) : identifyByPs(pid);
}

function identifyByProc(pid: number): ReturnType<typeof identify> {
  let stat: string;
  try {
    // Not as latin1, which would allocate 64 kB for each file.
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name in brackets may contain anything. Behind it: state (field 3), ppid (4), …, starttime (22), see proc(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const zombie = fields[0] === 'Z' || fields[0] === 'X';
  return { pid, started: `${bootId()}/${fields[19]}`, zombie, parent: Number(fields[1]) };
}

function identifyByPs(pid: number): ReturnType<typeof identify> {
  try {
    const args = ['-o', 'stat=', '-o', 'ppid=', '-o', 'lstart=', '-p', String(pid)];
    const line = execFileSync('ps', args, { encoding: 'utf8', env: { LC_ALL: 'C', PATH: process.env['PATH'] } }).trim();
    const [state = '', parent = '', ...started] = line.split(/\s+/);
    if (started.length === 0) return undefined;
    return { pid, started: started.join(' '), zombie: state.startsWith('Z'), parent: Number(parent) };
  } catch {
    return undefined;
  }
}
