import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { identify, type ProcessIdentity } from './identify.ts';

/** The environment variable of all processes of an instance, with its folder as value. A job's processes inherit it. */
export const MARKER = 'BATON_INSTANCE';

/** How long a scan waits for other callers at least: one pass over all processes serves them all. */
const MIN_SCAN_WINDOW_MS = 15;
/** It waits for this many times as long as the last pass took: passes over many processes take no more than a fifth of a core. */
const SCAN_WINDOW_FACTOR = 4;

/** A {@link ProcessIdentity} in a file. */
export const processIdentity = z.object({ pid: z.number().int().positive(), started: z.string().min(1) });

const LINUX = process.platform === 'linux';

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
let lastScanMs = 0;

/** All running processes with a {@link MARKER}, by its value. Simultaneous calls share one pass. */
export function scanMarked(): Promise<Map<string, number[]>> {
  pendingScan ??= sleep(Math.max(MIN_SCAN_WINDOW_MS, lastScanMs * SCAN_WINDOW_FACTOR)).then(() => {
    pendingScan = undefined;
    const begun = performance.now();
    const found = LINUX ? scanProc() : scanPs();
    lastScanMs = performance.now() - begun;
    return found;
  });
  return pendingScan;
}

function scanProc(): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    let environment: string;
    try {
      // A zombie's is empty.
      environment = readFileSync(`/proc/${name}/environ`, 'utf8');
    } catch {
      // It belongs to another user, or has ended.
      continue;
    }
    const at = `\0${environment}`.indexOf(`\0${MARKER}=`);
    if (at < 0) continue;
    const value = environment.slice(at + MARKER.length + 1).split('\0', 1)[0] ?? '';
    found.set(value, [...(found.get(value) ?? []), Number(name)]);
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
