import { parseArgs } from 'node:util';
import { fastify, type FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Config } from '../../contracts/config/config.ts';
import { BatonError, messageOf } from '../../contracts/errors.ts';
import { createLogger, type Logger } from '../../contracts/lib/log.ts';
import { LiveConfig } from './live-config.ts';
import { openTraces } from './tracing/open-traces.ts';
import type { Traces } from './tracing/span.ts';

/** What every service is handed. */
export interface ServiceContext {
  /** As it was at the start. */
  config: Config;
  /** As it is: follows the file on SIGHUP, and on whatever else calls `reload`. */
  live: LiveConfig;
  log: Logger;
  metrics: Registry;
  /** Absent where nobody wants traces. */
  traces: Traces | undefined;
  /** The service's HTTP server: health and metrics stand already; routes may be added until `main` resolves. */
  http: FastifyInstance;
  /** Fires on SIGTERM and SIGINT: take no more work, finish what is in hand, then let `run` resolve. */
  stop: AbortSignal;
  /** Positional arguments after the service's name, e.g. the backend's name. */
  args: string[];
}

/** A started service. */
export interface Service {
  /** Throws, or resolves false, while the service can't do its work: `/readyz` answers 503. */
  ready(): Promise<boolean>;
  /** Resolves when the service has stopped after `stop` fired; rejects when it can't go on. */
  run(): Promise<void>;
}

/**
 * Runs a service as this process: configuration (`--config FILE` or BATON_CONFIG, default baton.yaml), JSON log, HTTP
 * server on `--host` (default 127.0.0.1) and `--port` (default 0: a free one) with `/healthz`, `/readyz`, `/metrics`,
 * graceful stop on SIGTERM/SIGINT (a second one ends the process at once), configuration read again on SIGHUP. Logs `ready` with its `address` when it works.
 * Exits 0 after a graceful stop, 1 after an error.
 */
export async function runService(name: string, start: (context: ServiceContext) => Promise<Service>): Promise<void> {
  const log = createLogger(name);
  const controller = new AbortController();
  let service: Service | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(1);
      log.info({ signal }, 'stopping');
      controller.abort();
      // Still waiting for a server: nothing is in hand.
      if (service === undefined) process.exit(0);
    });
  }
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        config: { type: 'string', default: process.env['BATON_CONFIG'] ?? 'baton.yaml' },
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '0' },
      },
    });
    const live = new LiveConfig(values.config);
    process.on('SIGHUP', () => {
      live.reload().then(
        (result) => log.info(result, 'configuration read again'),
        (error: unknown) => log.error({ err: error }, `the configuration stays as it was: ${messageOf(error)}`),
      );
    });
    const metrics = new Registry();
    metrics.setDefaultLabels({ service: name });
    collectDefaultMetrics({ register: metrics });
    const traces = await openTraces(name, live.current.name, log);
    const http = fastify({ bodyLimit: 25 * 1024 ** 2, forceCloseConnections: 'idle' });
    // A connection whose request was under way when the stop came is idle too late to be closed with the others.
    http.addHook('onSend', async (_request, reply) => {
      if (controller.signal.aborted) reply.header('connection', 'close');
    });
    http.get('/healthz', () => ({ status: 'ok' }));
    http.get('/readyz', async (_request, reply) => {
      const ready = service !== undefined && !controller.signal.aborted && (await service.ready().catch(() => false));
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready' });
    });
    http.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
    service = await start({
      config: live.current,
      live,
      log,
      metrics,
      traces,
      http,
      stop: controller.signal,
      args: positionals,
    });
    const address = await http.listen({ host: values.host, port: Number(values.port) });
    log.info({ address }, 'ready');
    await service.run();
    await http.close();
    await traces?.close().catch((error: unknown) => log.warn({ reason: messageOf(error) }, 'the last traces'));
    log.info('stopped');
    process.exit(0);
  } catch (error) {
    const details = error instanceof BatonError ? { code: error.code, help: error.help } : {};
    log.fatal({ ...details, err: error }, messageOf(error));
    process.exit(1);
  }
}
