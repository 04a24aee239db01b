import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SERVICES = fileURLToPath(new URL('../../../services', import.meta.url));

export interface Metric {
  name: string;
  type: string;
  help: string;
  labels: string[];
  /** The process that has it: a folder of services/. */
  service: string;
}

const METRIC_CLASS = /new (Counter|Gauge|Histogram|Summary)\(/g;
const NAME_LITERAL = /'(baton_[a-z0-9_]+)'/g;

/** Every metric of every service, read from the sources, in the order of files. */
export function readMetrics(): Metric[] {
  return readdirSync(SERVICES, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .toSorted()
    .flatMap((file) => findMetrics(readFileSync(join(SERVICES, file), 'utf8'), file));
}

/**
 * The metrics that one file makes: directly, by `new Counter({ name: 'baton_…', help: '…' })`, or by a function of the
 * file that takes name and help, in this order. Anything else is an error: then the page would miss a metric.
 *
 * @param file its path under services/
 */
export function findMetrics(source: string, file: string): Metric[] {
  const [service = ''] = file.split('/');
  const metrics: Metric[] = [];
  const factories: { name: string; type: string; labels: string[] }[] = [];
  for (const match of source.matchAll(METRIC_CLASS)) {
    const call = readCall(source, match.index + match[0].length);
    const type = (match[1] ?? '').toLowerCase();
    const name = /\bname: '([^']+)'/.exec(call)?.[1];
    if (name !== undefined) {
      metrics.push({ name, type, help: readHelp(call, name, file), labels: readLabels(call, source, file), service });
      continue;
    }
    const factory = /(?:const|function|\n {2})\s*(#?\w+)(?: = )?\([^)]*\bname: string[^]*$/.exec(
      lastFunction(source.slice(0, match.index)),
    )?.[1];
    if (factory === undefined || !/\bname,/.test(call)) {
      throw new Error(`${file}: a ${type} whose name is no literal; the page of metrics would miss it`);
    }
    factories.push({ name: factory, type, labels: readLabels(call, source, file) });
  }
  const direct = new Set(metrics.map(({ name }) => name));
  for (const match of source.matchAll(NAME_LITERAL)) {
    const [, name = ''] = match;
    if (direct.has(name)) continue;
    const before = source.slice(0, match.index);
    const factory = factories.findLast((one) => new RegExp(`${one.name}\\([^()]*$`).test(before));
    if (factory === undefined) throw new Error(`${file}: cannot find the type of metric ${name} is`);
    const help = /^,\s*(['"`])([^]*?)\1/.exec(source.slice(match.index + match[0].length))?.[2];
    if (help === undefined) throw new Error(`${file}: ${name} has no help text`);
    metrics.push({ name, type: factory.type, help, labels: factory.labels, service });
  }
  return metrics;
}

/** The source from an opening bracket on to the one that closes it. */
function readCall(source: string, from: number): string {
  let depth = 1;
  let at = from;
  for (; at < source.length && depth > 0; at++) {
    if (source[at] === '(') depth++;
    if (source[at] === ')') depth--;
  }
  return source.slice(from, at);
}

/** The end of a source, from the last line on that begins a function with a parameter `name`. */
function lastFunction(source: string): string {
  const lines = source.split('\n');
  const begin = lines.findLastIndex((line) => /\(.*\bname: string/.test(line));
  return begin < 0 ? '' : `\n${lines.slice(begin).join('\n')}`;
}

function readHelp(call: string, name: string, file: string): string {
  const help = /\bhelp:\s*(['"`])([^]*?)\1/.exec(call)?.[2];
  if (help === undefined) throw new Error(`${file}: ${name} has no help text`);
  return help;
}

/** The labels of a call; they may be in a constant of the file. */
function readLabels(call: string, source: string, file: string): string[] {
  const [, list] = /\blabelNames: (\[[^\]]*\]|\w+)/.exec(call) ?? [];
  if (list === undefined) return [];
  return [...list.matchAll(/'([^']+)'|\b([A-Z][A-Z_]*)\b/g)].flatMap(([, label, constant]) => {
    if (label !== undefined) return [label];
    const values = new RegExp(`const ${constant} = (\\[[^\\]]*\\])`).exec(source)?.[1];
    if (values === undefined) throw new Error(`${file}: cannot find the labels ${constant}`);
    return [...values.matchAll(/'([^']+)'/g)].map(([, value = '']) => value);
  });
}
