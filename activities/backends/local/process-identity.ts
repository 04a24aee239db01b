import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** The environment variable of all processes of an instance, with its folder as value. A job's processes inherit it. */
export const MARKER = 'BATON_INSTANCE';

/** How long a scan waits for other callers: one pass over all processes serves them all. */
const SCAN_WINDOW_MS = 15;

/** Identifies a process, and distinguishes it from a later one with the same pid. */
export const processIdentity = z.object({
  pid: z.number().int().positive(),
  /** When it started: on Linux the boot id and the clock ticks since the boot; elsewhere lstart of ps. */
  started: z.string().min(1),
});

export type ProcessIdentity = z.infer<typeof processIdentity>;

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
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
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

/** Whether this process is still running; a zombie is not. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== undefined && !now.zombie && now.started === identity.started;
}

/** Sends a signal to a process group while its leader is this process, never to a later process with the same pid. */
export function signalGroup(leader: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(leader)) return;
  try {
    process.kill(-leader.pid, signal);
  } catch {
    // It has ended meanwhile.
  }
}

let pendingScan: Promise<Map<string, number[]>> | undefined;

/** All running processes with a {@link MARKER}, by its value. Simultaneous calls share one pass. */
export function scanMarked(): Promise<Map<string, number[]>> {
  pendingScan ??= sleep(SCAN_WINDOW_MS).then(() => {
    pendingScan = undefined;
    return LINUX ? scanProc() : scanPs();
  });
  return pendingScan;
}

function scanProc(): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    let environment: string;
    try {
      environment = readFileSync(`/proc/${name}/environ`, 'utf8');
    } catch {
      // It belongs to another user, or has ended.
      continue;
    }
    const at = `\0${environment}`.indexOf(`\0${MARKER}=`);
    if (at < 0) continue;
    const value = environment.slice(at + MARKER.length + 1).split('\0', 1)[0] ?? '';
    const pid = Number(name);
    if (identify(pid)?.zombie === false) found.set(value, [...(found.get(value) ?? []), pid]);
  }
  return found;
}

function scanPs(): Map<string, number[]> {
  const found = new Map<string, number[]>();
  const lines = execFileSync('ps', ['-A', '-E', '-ww', '-o', 'pid=', '-o', 'command='], { encoding: 'utf8' });
  for (const line of lines.split('\n')) {
    const match = new RegExp(`^\\s*(\\d+).*\\s${MARKER}=(\\S+)`).exec(line);
    if (match?.[2] === undefined) continue;
    found.set(match[2], [...(found.get(match[2]) ?? []), Number(match[1])]);
  }
  return found;
}
