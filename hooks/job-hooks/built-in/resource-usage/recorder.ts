import { appendFileSync, constants, existsSync, openSync } from 'node:fs';
import { readCapacity, readCounters, type Counters } from './sample.ts';

/** Time between two samples. */
const SAMPLE_INTERVAL_MS = 1000;

/**
 * Writes a sample to a file every second, until the file is removed. A sample is a line of JSON: `[ms, cores, memory,
 * read, written, received, sent, own]`. `ms` is this process's clock; `read` to `sent` are bytes since the last line;
 * `own` is the CPU time of the recorder itself, milliseconds. The first line, `[cores, memory]`, is the capacity of the
 * machine.
 */
export function record(file: string): void {
  // Never created here: it is removed when the job has ended, which ends the recorder.
  const output = open(file);
  if (output === undefined) return;
  const { cores, memory } = readCapacity();
  appendFileSync(output, `${JSON.stringify([cores, memory])}\n`);
  let last = { at: performance.now(), counters: readCounters() };
  const tick = (): void => {
    // Removing the file ends the recorder. A process id could belong to another process by then.
    if (!existsSync(file)) return;
    const now = { at: performance.now(), counters: readCounters() };
    const line = toSample(last.counters, now.counters, { at: now.at, seconds: (now.at - last.at) / 1000 });
    try {
      appendFileSync(output, `${JSON.stringify(line)}\n`);
    } catch {
      // On a full disk, this sample is lost.
    }
    last = now;
    setTimeout(tick, SAMPLE_INTERVAL_MS - (performance.now() % SAMPLE_INTERVAL_MS));
  };
  setTimeout(tick, SAMPLE_INTERVAL_MS - (last.at % SAMPLE_INTERVAL_MS));
}

/** Undefined where there is no such file. */
function open(file: string): number | undefined {
  try {
    return openSync(file, constants.O_WRONLY | constants.O_APPEND);
  } catch {
    return undefined;
  }
}

function toSample(from: Counters, to: Counters, { at, seconds }: { at: number; seconds: number }): number[] {
  const { user, system } = process.cpuUsage();
  const since = (key: keyof Counters): number => Math.max(0, to[key] - from[key]);
  return [
    Math.round(at),
    Number((since('cpuSeconds') / Math.max(seconds, 0.001)).toFixed(3)),
    to.memory,
    ...(['read', 'written', 'received', 'sent'] as const).map((key) => Math.round(since(key))),
    Math.round((user + system) / 1000),
  ];
}
