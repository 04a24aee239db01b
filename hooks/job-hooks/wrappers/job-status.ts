import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { StepsStatus } from './expression.ts';

/** The end of the log that is looked at, bytes: a step's result is among the last lines. */
const TAIL_BYTES = 256 * 1024;

const STATES: Record<string, StepsStatus> = { Succeeded: 'success', Failed: 'failure', Canceled: 'cancelled' };

/**
 * How the job stands, as the forge's runner writes it into its own log after every step (`job state = 'Failed'`): nothing in a
 * hook's environment tells. The log is the one that a process above us holds open, so that runners beside this one are
 * not mistaken for it. `success` where there is no such log, as on systems without /proc.
 *
 * Source: actions/runner, StepsRunner: the last line of its loop.
 */
export function readJobStatus(): StepsStatus {
  const log = workerLog();
  const states = log === undefined ? [] : [...readTail(log).matchAll(/Current state: job state = '(\w*)'/g)];
  return STATES[states.at(-1)?.[1] ?? ''] ?? 'success';
}

function workerLog(): string | undefined {
  for (let pid = process.ppid, depth = 0; pid > 1 && depth < 16; depth++) {
    const folder = `/proc/${pid}/fd`;
    for (const fd of entries(folder)) {
      const target = attempt(() => readlinkSync(join(folder, fd)));
      if (target !== undefined && /[\\/]_diag[\\/]Worker_[^\\/]*\.log$/.test(target)) return target;
    }
    // `pid (name) state ppid`, where the name may hold anything.
    const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? '';
    pid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] ?? 0);
  }
  return undefined;
}

function readTail(file: string): string {
  return (
    attempt(() => {
      const fd = openSync(file, 'r');
      try {
        const { size } = fstatSync(fd);
        const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
        readSync(fd, tail, 0, tail.length, size - tail.length);
        return tail.toString('utf8');
      } finally {
        closeSync(fd);
      }
    }) ?? ''
  );
}

const entries = (folder: string): string[] => attempt(() => readdirSync(folder)) ?? [];

function attempt<T>(deed: () => T): T | undefined {
  try {
    return deed();
  } catch {
    return undefined;
  }
}
