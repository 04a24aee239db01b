import { appendFileSync, existsSync } from 'node:fs';
import { capacity, readCounters, type Counters } from './sample.ts';

/** Between samples, milliseconds. */
const EVERY_MS = 1000;

/**
 * Samples into a file, a line of JSON a second, until the file is gone: `[ms, cores, memory, read, written, received,
 * sent, own]`, where `ms` is this process's own clock, the rates are bytes since the last line, and `own` is the CPU time that the
 * recorder itself has used, milliseconds. Its first line, `[cores, memory]`, is what there is to use.
 */
export function record(file: string): void {
  const { cores, memory } = capacity();
  appendFileSync(file, `${JSON.stringify([cores, memory])}\n`);
  let last = { at: performance.now(), counters: readCounters() };
  const tick = (): void => {
    // Its removal is how the recorder is told to end: no process id that may be somebody else's by then.
    if (!existsSync(file)) return;
    const now = { at: performance.now(), counters: readCounters() };
    const line = lineOf(last.counters, now.counters, { at: now.at, seconds: (now.at - last.at) / 1000 });
    try {
      appendFileSync(file, `${JSON.stringify(line)}\n`);
    } catch {
      // A full disk costs this sample.
    }
    last = now;
    setTimeout(tick, EVERY_MS - (performance.now() % EVERY_MS));
  };
  setTimeout(tick, EVERY_MS - (last.at % EVERY_MS));
}

function lineOf(from: Counters, to: Counters, { at, seconds }: { at: number; seconds: number }): number[] {
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
