import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { StepsStatus } from './expression.ts';

/** How much of the log's end is read, bytes: a step's result is among the last lines. */
const MAX_TAIL_BYTES = 256 * 1024;

const STATES: Record<string, StepsStatus> = { Succeeded: 'success', Failed: 'failure', Canceled: 'cancelled' };

/**
 * Reads the job's status from the log of the forge's runner, which writes it after every step (`job state = 'Failed'`):
 * a hook's environment does not contain it. The log is found as an open file of a parent process, so that it is never
 * the log of another runner on this machine. `success` if there is no such log, as on systems without /proc.
 *
 * Source: actions/runner, StepsRunner: the last line of its loop.
 */
export function readJobStatus(): StepsStatus {
  const log = findWorkerLog();
  const states = log === undefined ? [] : [...readTail(log).matchAll(/Current state: job state = '(\w*)'/g)];
  return STATES[states.at(-1)?.[1] ?? ''] ?? 'success';
}

function findWorkerLog(): string | undefined {
  for (let pid = process.ppid, depth = 0; pid > 1 && depth < 16; depth++) {
    const folder = `/proc/${pid}/fd`;
    for (const fd of listFolder(folder)) {
      const target = attempt(() => readlinkSync(join(folder, fd)));
      if (target !== undefined && /[\\/]_diag[\\/]Worker_[^\\/]*\.log$/.test(target)) return target;
    }
    // `pid (name) state ppid`, where the name may contain anything.
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
        const tail = Buffer.alloc(Math.min(size, MAX_TAIL_BYTES));
        readSync(fd, tail, 0, tail.length, size - tail.length);
        return tail.toString('utf8');
      } finally {
        closeSync(fd);
      }
    }) ?? ''
  );
}

const listFolder = (folder: string): string[] => attempt(() => readdirSync(folder)) ?? [];

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
