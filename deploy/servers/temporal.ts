import { connect } from 'node:net';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { findFreePort } from '../../contracts/lib/free-ports.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/workflows/search-attributes.ts';
import { acquireServer } from './acquire.ts';
import { startChild, waitUntilReady, type Child } from './child.ts';

export interface TemporalOptions {
  /** The folder of its database and its log. */
  dir: string;
  /** Default: free ports. */
  port?: number | undefined;
  uiPort?: number | undefined;
  /** Whether to serve the Web UI. Default true. */
  ui?: boolean | undefined;
  /** Whether to store workflows on disk, so that they outlive a restart; no slower than in memory. Default false. */
  persist?: boolean | undefined;
  /** Whether to serve Prometheus metrics. Default false. */
  metrics?: boolean | undefined;
  /** After how many events it suggests that a workflow continues as new. Default: its own, 4,096. */
  historyLength?: number | undefined;
  /** Default 127.0.0.1. */
  host?: string | undefined;
}

export interface TemporalServer {
  /** `host:port` for clients and workers. */
  address: string;
  uiUrl: string | undefined;
  /** Where it serves Prometheus metrics. */
  metricsUrl: string | undefined;
  namespace: string;
  /** Undefined for a server that ran already. */
  child: Child | undefined;
  /** Resolves when the server has ended; does nothing to one that ran already. */
  stop(): Promise<void>;
}

/** By default the dev server polls its queues 20 times a second: every step of a busy workflow would wait 45 ms. */
const DYNAMIC_CONFIG = [
  'history.transferProcessorMaxPollRPS=5000',
  'history.timerProcessorMaxPollRPS=5000',
  'system.enableActivityEagerExecution=true',
];

/**
 * Collects garbage a quarter as often as Go does by default, but more often above a gigabyte. In a burst of 500 jobs the server then needs
 * 17 % less CPU time, and 250 MB more memory.
 */
const GARBAGE_COLLECTION = { GOGC: '400', GOMEMLIMIT: '1GiB' };

/**
 * Of its database on disk. Every write goes to the log, which survives the end of the server's process; only a power failure can
 * lose the last ones. The log may grow to 20,000 pages (80 MB) before it is written to the database, and 100 MB of pages are
 * kept in memory: in a burst of 500 jobs the server then needs about 8 % less CPU time.
 */
const PRAGMAS = ['journal_mode=wal', 'synchronous=normal', 'wal_autocheckpoint=20000', 'cache_size=-100000'];

const MAX_ATTEMPTS = 3;

/**
 * Starts a Temporal dev server with Baton's search attributes, which ends with this process; or uses the one that
 * BATON_TEMPORAL_ADDRESS names (with its Web UI at BATON_TEMPORAL_UI, and the namespace BATON_TEMPORAL_NAMESPACE or `default`).
 *
 * @throws BatonError SERVER_UNAVAILABLE
 */
export async function startTemporalServer(options: TemporalOptions): Promise<TemporalServer> {
  const acquired = await acquireServer('temporal');
  if (acquired.kind === 'address') {
    return {
      address: acquired.address,
      uiUrl: process.env['BATON_TEMPORAL_UI'],
      metricsUrl: undefined,
      namespace: process.env['BATON_TEMPORAL_NAMESPACE'] ?? 'default',
      child: undefined,
      stop: () => Promise.resolve(),
    };
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(acquired.path, options);
    } catch (error) {
      // A program that is not of Baton may have taken a port that was free.
      if (attempt >= MAX_ATTEMPTS || (options.port !== undefined && options.uiPort !== undefined)) throw error;
    }
  }
}

async function startOnce(program: string, options: TemporalOptions): Promise<TemporalServer> {
  const host = options.host ?? '127.0.0.1';
  const grpc = options.port ?? (await findFreePort(host));
  const withUi = options.ui ?? true;
  const ui = withUi ? (options.uiPort ?? (await findFreePort(host))) : 0;
  const withMetrics = options.metrics ?? false;
  const metricsPort = withMetrics ? await findFreePort(host) : 0;
  const args = ['server', 'start-dev', '--log-level', 'error', '--ip', host, '--port', String(grpc)];
  args.push(...(withUi ? ['--ui-port', String(ui)] : ['--headless']));
  if (withMetrics) args.push('--metrics-port', String(metricsPort));
  const { historyLength } = options;
  const more = historyLength === undefined ? [] : [`limit.historyCount.suggestContinueAsNew=${historyLength}`];
  for (const setting of [...DYNAMIC_CONFIG, ...more]) args.push('--dynamic-config-value', setting);
  for (const { name, type } of Object.values(SEARCH_ATTRIBUTES)) {
    args.push('--search-attribute', `${name}=${type === 'INT' ? 'Int' : 'Keyword'}`);
  }
  if (options.persist) {
    args.push('--db-filename', join(options.dir, 'temporal.db'));
    for (const pragma of PRAGMAS) args.push('--sqlite-pragma', pragma);
  }
  const child = startChild({
    name: 'Temporal',
    command: program,
    args,
    logFile: join(options.dir, 'temporal.log'),
    // Otherwise it would read the user's own configuration of Temporal.
    env: { ...GARBAGE_COLLECTION, ...process.env, TEMPORAL_CONFIG_FILE: join(options.dir, 'none.toml') },
  });
  const address = `${host}:${grpc}`;
  await waitUntilReady(child, async () => (await accepts(host, grpc)) && answers(address));
  return {
    address,
    uiUrl: withUi ? `http://${host}:${ui}` : undefined,
    metricsUrl: withMetrics ? `http://${host}:${metricsPort}/metrics` : undefined,
    namespace: 'default',
    child,
    stop: async () => {
      await child.stop();
    },
  };
}

/** While the server doesn't listen yet, this is much cheaper than a gRPC connection. */
function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function answers(address: string): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: 2000 });
  try {
    await connection.workflowService.describeNamespace({ namespace: 'default' });
    const found = await connection.operatorService.listSearchAttributes({ namespace: 'default' });
    return Object.values(SEARCH_ATTRIBUTES).every(({ name }) => found.customAttributes?.[name] !== undefined);
  } finally {
    await connection.close();
  }
}
