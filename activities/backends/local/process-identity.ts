import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** The environment variable that marks all processes of an instance: its folder. Inherited by whatever a job starts. */
export const MARKER = 'BATON_INSTANCE';

/** How long scans wait for others that want one, milliseconds: one pass over all processes serves them all. */
const SCAN_WINDOW_MS = 15;

/** A process, told apart from another that got the same pid later. */
export const processIdentity = z.object({
  pid: z.number().int().positive(),
  /** When it started: on Linux the boot's id and clock ticks since then; elsewhere what ps calls lstart. */
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
 * Who has this pid now: undefined when nobody. Reads /proc synchronously: that is memory, not a disk, and a tenth of the
 * cost of going through the thread pool.
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
  // The name in brackets may hold anything; behind it, fields are counted from 3 (proc(5)): state, ppid, … starttime 22.
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

/** Whether that very process still runs; one that has ended but was not yet reaped does not. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== undefined && !now.zombie && now.started === identity.started;
}

/** Sends a signal to a process group while its leader is that very process: never to whoever got its pid later. */
export function signalGroup(leader: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(leader)) return;
  try {
    process.kill(-leader.pid, signal);
  } catch {
    // It ended in between.
  }
}

let pendingScan: Promise<Map<string, number[]>> | undefined;

/** All living processes that carry a {@link MARKER}, by its value. Calls that come together share one pass. */
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
      // Another user's, or gone.
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
