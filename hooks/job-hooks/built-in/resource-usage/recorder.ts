import { appendFileSync, existsSync } from 'node:fs';
import { readCapacity, readCounters, type Counters } from './sample.ts';

/** Between samples, milliseconds. */
const SAMPLE_INTERVAL_MS = 1000;

/**
 * Samples into a file, a line of JSON a second, until the file is gone: `[ms, cores, memory, read, written, received,
 * sent, own]`, where `ms` is this process's own clock, the rates are bytes since the last line, and `own` is the CPU time that the
 * recorder itself has used, milliseconds. Its first line, `[cores, memory]`, is what there is to use.
 */
export function record(file: string): void {
  const { cores, memory } = readCapacity();
  appendFileSync(file, `${JSON.stringify([cores, memory])}\n`);
  let last = { at: performance.now(), counters: readCounters() };
  const tick = (): void => {
    // Its removal is how the recorder is told to end: no process id that may be somebody else's by then.
    if (!existsSync(file)) return;
    const now = { at: performance.now(), counters: readCounters() };
    const line = toSample(last.counters, now.counters, { at: now.at, seconds: (now.at - last.at) / 1000 });
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    } catch {
      // A full disk costs this sample.
    }
    last = now;
    setTimeout(tick, SAMPLE_INTERVAL_MS - (performance.now() % SAMPLE_INTERVAL_MS));
  };
  setTimeout(tick, SAMPLE_INTERVAL_MS - (last.at % SAMPLE_INTERVAL_MS));
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
