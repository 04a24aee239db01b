import { formatBytes } from '../../../../contracts/format.ts';
import type { JobResources } from '../../../../contracts/messages/job-resources.ts';

/** How wide a sparkline can be, characters. */
const MAX_WIDTH = 40;
const BARS = '▁▂▃▄▅▆▇█';

/** The samples of a recorder, as columns. */
export interface Recording {
  cores: number;
  memoryTotal: number;
  seconds: number;
  columns: { cpu: number[]; memory: number[]; read: number[]; written: number[]; received: number[]; sent: number[] };
  /** CPU usage of the recorder itself, in cores. */
  ownCores: number;
}

/** Fields of a line: ms, cores, memory, read, written, received, sent, own. */
const FIELDS = 8;

/**
 * Reads a recorder's file. Skips a line that was cut off, or that a job wrote. Parses by hand: a schema library would
 * make this program more than ten times as large.
 *
 * @returns undefined if there is no sample
 */
export function parseRecording(text: string): Recording | undefined {
  const [first = '', ...rest] = text.split('\n');
  const [cores, memoryTotal] = parseNumbers(first, 2) ?? [];
  const rows = rest.flatMap((line) => {
    const row = parseNumbers(line, FIELDS);
    return row === undefined ? [] : [row];
  });
  const [from, to] = [rows[0], rows.at(-1)];
  if (cores === undefined || memoryTotal === undefined || from === undefined || to === undefined) return undefined;
  const column = (index: number): number[] => rows.map((row) => row[index] ?? 0);
  const span = (index: number): number => (to[index] ?? 0) - (from[index] ?? 0);
  return {
    cores,
    memoryTotal,
    seconds: rows.length,
    columns: {
      cpu: column(1),
      memory: column(2),
      read: column(3),
      written: column(4),
      received: column(5),
      sent: column(6),
    },
    ownCores: span(0) > 0 ? span(FIELDS - 1) / span(0) : 0,
  };
}

/** Parses a JSON list of exactly `count` numbers, none of them negative. */
function parseNumbers(line: string, count: number): number[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value) || value.length !== count) return undefined;
  const found = value.filter((one): one is number => typeof one === 'number' && Number.isFinite(one) && one >= 0);
  return found.length === count ? found : undefined;
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]): number => (values.length === 0 ? 0 : sum(values) / values.length);
const peak = (values: readonly number[]): number => values.reduce((max, value) => Math.max(max, value), 0);

export function toJobResources({ cores, memoryTotal, seconds, columns }: Recording): JobResources {
  return {
    seconds,
    cpu: { cores, average: mean(columns.cpu), peak: peak(columns.cpu) },
    memory: { total: memoryTotal, average: mean(columns.memory), peak: peak(columns.memory) },
    disk: { read: sum(columns.read), written: sum(columns.written) },
    network: { received: sum(columns.received), sent: sum(columns.sent) },
  };
}

/** Values over time in at most {@link MAX_WIDTH} bars, each the mean of its samples; `max` is the full height. */
export function toSparkline(values: readonly number[], max = peak(values)): string {
  const count = Math.min(MAX_WIDTH, values.length);
  return Array.from({ length: count }, (_, index) => {
    const share = values.slice(
      Math.floor((index * values.length) / count),
      Math.floor(((index + 1) * values.length) / count),
    );
    const height = max > 0 ? Math.min(1, mean(share) / max) : 0;
    return BARS[Math.round(height * (BARS.length - 1))];
  }).join('');
}

/** The rows for people: name, average or sum, peak, over time. */
export function toUsageTable(recording: Recording): string[][] {
  const { columns } = recording;
  const used = toJobResources(recording);
  const cores = (value: number): string => value.toFixed(2);
  const rate = (values: readonly number[]): string => `${formatBytes(peak(values))}/s`;
  return [
    ['CPU, cores', cores(used.cpu.average), cores(used.cpu.peak), toSparkline(columns.cpu, recording.cores)],
    [
      'Memory',
      formatBytes(used.memory.average),
      formatBytes(used.memory.peak),
      toSparkline(columns.memory, recording.memoryTotal),
    ],
    ['Disk read', formatBytes(used.disk.read), rate(columns.read), toSparkline(columns.read)],
    ['Disk written', formatBytes(used.disk.written), rate(columns.written), toSparkline(columns.written)],
    ['Network received', formatBytes(used.network.received), rate(columns.received), toSparkline(columns.received)],
    ['Network sent', formatBytes(used.network.sent), rate(columns.sent), toSparkline(columns.sent)],
  ];
}

const HEADINGS = ['', 'Average or sum', 'Peak', 'Over time'];

/** The line above the table. */
export function toHeadline({ seconds, cores, memoryTotal, ownCores }: Recording): string {
  const own = `the recorder itself used ${(ownCores * 100).toFixed(2)} % of a core`;
  return `${seconds} samples, one per second; ${Number(cores.toFixed(2))} cores and ${formatBytes(memoryTotal)} of memory; ${own}`;
}

export function toTextTable(recording: Recording): string[] {
  const rows = [HEADINGS, ...toUsageTable(recording)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function toMarkdown(recording: Recording): string {
  const rows = toUsageTable(recording).map((row) => `| ${row.join(' | ')} |`);
  return [
    '### What this job used',
    '',
    `| ${HEADINGS.join(' | ')} |`,
    '|:--|--:|--:|:--|',
    ...rows,
    '',
    `${toHeadline(recording)}.`,
    '',
  ].join('\n');
}
