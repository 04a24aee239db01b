import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface ProcessOrder {
  file: string;
  args: string[];
  env: Record<string, string>;
  cwd: string;
  onLine: (line: string) => void;
  /** Ends the program: SIGINT, SIGTERM after `graceMs`, SIGKILL to it and its descendants after another third of that. */
  stop: AbortSignal;
  graceMs: number;
}

/** How long to read output after a process has ended, from children that it left behind. */
const OUTPUT_GRACE_MS = 5_000;

/** Runs a program to its end. @returns its exit code; null when a signal ended it. @throws Error when it can't start */
export async function runProcess(order: ProcessOrder): Promise<number | null> {
  const child = spawn(order.file, order.args, { cwd: order.cwd, env: order.env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', order.onLine);
  const timers: NodeJS.Timeout[] = [];
  const interrupt = (): void => {
    child.kill('SIGINT');
    timers.push(setTimeout(() => child.kill('SIGTERM'), order.graceMs));
    timers.push(
      setTimeout(
        () => {
          for (const pid of [...listDescendants(child.pid ?? 0), child.pid ?? 0]) kill(pid);
        },
        Math.ceil((order.graceMs * 4) / 3),
      ),
    );
  };
  try {
    return await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', () => {
        if (order.stop.aborted) interrupt();
        else order.stop.addEventListener('abort', interrupt, { once: true });
      });
      child.once('close', (code) => resolve(code));
      child.once('exit', () => {
        timers.push(
          setTimeout(() => {
            child.stdout.destroy();
            child.stderr.destroy();
          }, OUTPUT_GRACE_MS),
        );
      });
    });
  } finally {
    order.stop.removeEventListener('abort', interrupt);
    for (const timer of timers) clearTimeout(timer);
  }
}

/** Kills every other process with `name=value` in its environment. @returns their number; Linux only */
export function killMarked(name: string, value: string): number {
  const mark = `${name}=${value}`;
  const found = listProcessIds().filter((pid) => {
    const environment = pid === process.pid ? undefined : readProc(pid, 'environ');
    return environment?.split('\0').includes(mark) ?? false;
  });
  for (const pid of found) kill(pid);
  return found.length;
}

/** All descendants of a process, by /proc. They stay in the runner's process group, so that a signal to the group reaches them. */
function listDescendants(root: number): number[] {
  const parents = new Map(listProcessIds().map((pid) => [pid, readParent(pid)]));
  const found = new Set<number>([root]);
  for (let grew = true; grew;) {
    const before = found.size;
    for (const [pid, parent] of parents) if (parent !== undefined && found.has(parent)) found.add(pid);
    grew = found.size > before;
  }
  found.delete(root);
  return [...found];
}

function readParent(pid: number): number | undefined {
  // The fields after the command's name, which may contain spaces and parentheses: state, parent, …
  const fields = readProc(pid, 'stat')?.split(') ').at(-1)?.split(' ');
  return fields?.[1] === undefined ? undefined : Number(fields[1]);
}

function listProcessIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has ended by itself.
  }
}
