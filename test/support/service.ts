import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { readLogTail, startChild } from '../../deploy/servers/child.ts';
import { temporaryFolder } from './cleanup.ts';
import { until } from './until.ts';

const logLine = z.looseObject({
  msg: z.string().optional(),
  level: z.string(),
  address: z.string().optional(),
  adminAddress: z.string().optional(),
});

type LogLine = z.infer<typeof logLine>;

export interface TestService {
  /** The URL of its HTTP server for the forge, machines and proxies; empty for a service without one. */
  readonly address: string;
  /** The URL of its HTTP server for operators. */
  readonly adminAddress: string;
  /** Its log so far. */
  readonly log: readonly LogLine[];
  /** Resolves when a log line has this message. */
  logged(message: string): Promise<LogLine>;
  /** Resolves when `/readyz` answers 200; with false, when it answers something else. */
  ready(wanted?: boolean): Promise<void>;
  /** A metric's value, such as of `baton_webhooks_total{event="ping"}`: the sum of all its lines that have the labels. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** SIGTERM; resolves with its exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export interface TestServiceOptions {
  /** Path of its configuration. */
  config: string;
  env?: Record<string, string>;
  args?: string[];
}

/**
 * Starts one of Baton's services as a process, as in production. Resolves when it is ready. It ends with the test's process, however
 * that ends.
 */
export async function startService(name: string, options: TestServiceOptions): Promise<TestService> {
  const main = fileURLToPath(new URL(`../../services/${name}/main.ts`, import.meta.url));
  const folder = temporaryFolder(`${name}-log`);
  const logFile = join(folder.path, 'log');
  const child = startChild({
    name,
    command: process.execPath,
    args: [main, ...(options.args ?? []), '--config', options.config],
    env: { ...process.env, ...options.env },
    logFile,
    // Longer than any service takes to stop gracefully.
    graceSeconds: 40,
  });

  const read = (): LogLine[] =>
    readFileSync(logFile, 'utf8')
      .split('\n')
      .map(readLine)
      .filter((line) => line !== undefined);
  let lastLog: LogLine[] = [];
  const gone = child.exited.then(({ code }) => {
    lastLog = read();
    return code;
  });

  async function logged(message: string): Promise<LogLine> {
    const find = (): LogLine | undefined => read().find((line) => line.msg === message);
    await until(() => find() !== undefined || !child.running, { what: `${name} logs "${message}"` });
    const found = find();
    if (found === undefined)
      throw new Error(`${name} ended before it logged "${message}":\n${readLogTail(logFile, 30)}`);
    return found;
  }

  const { address = '', adminAddress = '' } = await logged('ready');
  return {
    address,
    adminAddress,
    get log() {
      return child.running ? read() : lastLog;
    },
    logged,
    ready: async (wanted = true) => {
      const what = `${name} is ${wanted ? '' : 'not '}ready`;
      await until(async () => ((await fetch(`${adminAddress}/readyz`)).status === 200) === wanted, { what });
    },
    metric: async (metric, labels = {}) => {
      const text = await (await fetch(`${adminAddress}/metrics`)).text();
      return text
        .split('\n')
        .filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `))
        .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
    stop: async () => {
      await child.stop();
      const code = await gone;
      folder.remove();
      return code;
    },
    kill: async () => {
      await child.kill();
      await gone;
      folder.remove();
    },
  };
}

function readLine(text: string): LogLine | undefined {
  try {
    return logLine.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
