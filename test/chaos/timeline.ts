import type { SimulatorEvent } from '../../services/simulator/event-log.ts';
import type { Problem } from './checker.ts';

/** Something that happened in a run. */
export interface TimelineEntry {
  /** Milliseconds since the epoch. */
  at: number;
  /** `fault`, `job`, `runner`, `instance`, `webhook` or `run`. */
  source: string;
  text: string;
  jobId?: number | undefined;
  runner?: string | undefined;
}

/** How much of the time before and after a problem its timeline shows. */
const AROUND_MS = 30_000;
const SHOWN = ['action', 'conclusion', 'detail', 'by', 'wasBusy', 'everOnline', 'why', 'status', 'redelivery'];

/** The simulator's events that matter for jobs and runners. */
export function toEntries(events: readonly SimulatorEvent[]): TimelineEntry[] {
  return events.flatMap(({ type, at, seq: _seq, jobId, runner, ...fields }) => {
    if (type === 'api.call') return [];
    const [source = '', what = ''] = type.split('.');
    const id = typeof jobId === 'number' ? jobId : undefined;
    const name = typeof runner === 'string' ? runner : undefined;
    const shown = SHOWN.flatMap((key) => {
      const value = fields[key];
      return ['string', 'number', 'boolean'].includes(typeof value) ? [`${key}=${String(value)}`] : [];
    });
    const text = [what, id, name, ...shown].filter((part) => part !== undefined).join(' ');
    return [{ at: Date.parse(at), source, text, jobId: id, runner: name }];
  });
}

/** All entries in the order of their time, one line each, as seconds since `since`. */
export function formatTimeline(entries: readonly TimelineEntry[], since: number): string {
  return entries
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, source, text }) => `${((at - since) / 1000).toFixed(3).padStart(9)} s  ${source.padEnd(8)} ${text}`)
    .join('\n');
}

/**
 * The entries that explain these problems: of their jobs and of the runners that these had from first to last, and all faults
 * and instances around them.
 */
export function selectEntries(entries: readonly TimelineEntry[], problems: readonly Problem[]): TimelineEntry[] {
  const jobs = new Set(problems.flatMap(({ jobId }) => jobId ?? []));
  const runners = new Set(problems.flatMap(({ runners: named }) => named ?? []));
  for (const { jobId, runner } of entries) {
    if (jobId !== undefined && runner !== undefined && jobs.has(jobId)) runners.add(runner);
  }
  const own = entries.filter(
    ({ jobId, runner }) => (jobId !== undefined && jobs.has(jobId)) || (runner !== undefined && runners.has(runner)),
  );
  const moments = [...problems.flatMap(({ at }) => at ?? []), ...own.map(({ at }) => at)];
  if (moments.length === 0) return entries.filter(({ source }) => source === 'fault' || source === 'run');
  const from = Math.min(...moments) - AROUND_MS;
  const to = Math.max(...moments) + AROUND_MS;
  return entries.filter(
    (entry) =>
      own.includes(entry) ||
      (['fault', 'run', 'instance'].includes(entry.source) && entry.at >= from && entry.at <= to),
  );
}
